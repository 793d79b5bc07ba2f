//! The beginning of the URLs that we hand out.

use http::uri::Authority;
use http::{HeaderMap, Uri, header};

/// Where clients reach this server: a configured URL, or the name by which they called it.
#[derive(Clone, Debug)]
pub struct Base(Source);

#[derive(Clone, Debug)]
enum Source {
    Configured(String),
    Request { scheme: &'static str },
}

impl Base {
    /// The name by which a client calls, with `https` when the listener speaks TLS.
    #[must_use]
    pub fn of_request(tls: bool) -> Self {
        Self(Source::Request { scheme: if tls { "https" } else { "http" } })
    }

    /// A public URL, such as that of a proxy in front of us.
    ///
    /// # Errors
    /// Says what is wrong with the URL.
    pub fn configured(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("{url:?} is not a URL: {error}"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https"))
            || uri.authority().is_none()
            || uri.query().is_some()
        {
            return Err(format!("{url:?} must be like https://vpn.example.org, without a query"));
        }
        Ok(Self(Source::Configured(url.trim_end_matches('/').to_owned())))
    }

    /// The URL for the sender of these headers, without a slash at the end.
    #[must_use]
    pub fn url(&self, headers: &HeaderMap) -> String {
        match &self.0 {
            Source::Configured(url) => url.clone(),
            Source::Request { scheme } => format!("{scheme}://{}", host(headers)),
        }
    }
}

/// The `Host` header, if it is one: it ends up in URLs that we write.
fn host(headers: &HeaderMap) -> String {
    headers
        .get(header::HOST)
        .and_then(|host| Authority::try_from(host.as_bytes()).ok())
        .filter(|host| !host.as_str().contains('@'))
        .map_or_else(|| "localhost".to_owned(), |host| host.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn url(base: &Base, host: &'static str) -> String {
        base.url(&HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]))
    }

    #[test]
    fn a_client_sees_the_name_it_called() {
        assert_eq!(url(&Base::of_request(false), "127.0.0.1:9696"), "http://127.0.0.1:9696");
        assert_eq!(url(&Base::of_request(true), "[2001:db8::1]:443"), "https://[2001:db8::1]:443");
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        for host in ["a b", "user@host", "a/b", "<script>", ""] {
            assert_eq!(url(&Base::of_request(false), host), "http://localhost", "{host}");
        }
    }

    #[test]
    fn a_configured_url_wins() {
        let base = Base::configured("https://vpn.example.org/karez/").unwrap();
        assert_eq!(url(&base, "127.0.0.1:9696"), "https://vpn.example.org/karez");
        for wrong in ["vpn.example.org", "ftp://x", "https://", "https://x?y", "/x"] {
            assert!(Base::configured(wrong).is_err(), "{wrong}");
        }
    }
}
