//! Word that something around a router may have changed.

use futures_util::stream::{BoxStream, Stream, StreamExt};
use futures_util::{FutureExt, stream};

/// What a gateway listens to for one router. Dropping it ends the listening.
///
/// It says that, never what: whoever is woken looks at what is there. Our own changes are heard like anybody else's.
pub struct Watch(stream::Fuse<BoxStream<'static, ()>>);

impl Watch {
    /// From a stream with an item for each change; several changes may be one. At its end the gateway has to be asked
    /// for another.
    pub fn new(changes: impl Stream<Item = ()> + Send + 'static) -> Self {
        Self(changes.boxed().fuse())
    }

    /// Waits for a change. False when no more will be heard. Nothing is lost when the future is dropped.
    pub async fn changed(&mut self) -> bool {
        self.0.next().await.is_some()
    }

    /// Passes over what was heard up to now, for somebody who is about to look. False when no more will be heard.
    pub fn catch_up(&mut self) -> bool {
        loop {
            match self.0.next().now_or_never() {
                Some(Some(())) => {}
                Some(None) => return false,
                None => return true,
            }
        }
    }
}
