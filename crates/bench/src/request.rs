//! Requests as bytes, made before the clock runs.

#[cfg(test)]
mod tests;

/// The textual form of an object's id: 36 ASCII characters.
pub type Id = [u8; 36];

/// A whole HTTP/1.1 request.
pub fn request(method: &str, path: &str, host: &str, token: Option<&str>, body: Option<&str>) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
    if let Some(token) = token {
        text += &format!("X-Auth-Token: {token}\r\n");
    }
    if let Some(body) = body {
        text += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    text += "\r\n";
    text += body.unwrap_or_default();
    text.into_bytes()
}

/// Stands for the `n`th id that a request names, until that id is known.
pub fn blank(n: usize) -> String {
    format!("********-****-****-****-***********{n}")
}

/// A request with blanks for ids that only the answers before it give.
#[derive(Clone)]
pub struct Template {
    bytes: Vec<u8>,
    blanks: Vec<usize>,
}

impl Template {
    /// Takes a request that holds `blank(0)`, `blank(1)`, and so on, each once.
    pub fn new(bytes: Vec<u8>) -> Self {
        let place = |n| {
            let blank = blank(n).into_bytes();
            bytes.windows(blank.len()).position(|window| window == blank)
        };
        let blanks = (0..).map_while(place).collect();
        Self { bytes, blanks }
    }

    /// The request with these ids in its blanks.
    pub fn fill(&mut self, ids: &[Id]) -> &[u8] {
        assert_eq!(ids.len(), self.blanks.len(), "one id for each blank");
        for (id, &at) in ids.iter().zip(&self.blanks) {
            self.bytes[at..at + id.len()].copy_from_slice(id);
        }
        &self.bytes
    }
}

/// The id of the object that a body holds. It looks for the first key `id` only, which is the
/// object's own in every answer of this API; each scenario proves that once with a JSON parser.
pub fn id_in(body: &[u8]) -> Option<Id> {
    const KEY: &[u8] = b"\"id\":";
    let at = body.windows(KEY.len()).position(|window| window == KEY)?;
    let value = body[at + KEY.len()..].trim_ascii_start().strip_prefix(b"\"")?;
    value.first_chunk::<36>().copied().filter(|_| value.get(36) == Some(&b'"'))
}
