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

    /// The URL for the sender of these headers, without a slash at the end. What a proxy says
    /// about the name and the scheme counts only `behind_proxy`.
    #[must_use]
    pub fn url(&self, headers: &HeaderMap, behind_proxy: bool) -> String {
        let own_scheme = match &self.0 {
            Source::Configured(url) => return url.clone(),
            Source::Request { scheme } => scheme,
        };
        let forwarded = |name| first(headers, name).filter(|_| behind_proxy);
        let scheme = match forwarded("x-forwarded-proto") {
            Some("https") => "https",
            Some("http") => "http",
            Some(_) | None => own_scheme,
        };
        let host = forwarded("x-forwarded-host").or_else(|| first(headers, header::HOST.as_str()));
        format!("{scheme}://{}", host.filter(|host| is_host(host)).unwrap_or("localhost"))
    }
}

/// The first of the values that a header lists.
fn first<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()?.split(',').next().map(str::trim)
}

/// Whether it is the name or address of a host: it ends up in URLs that we write.
fn is_host(text: &str) -> bool {
    text.parse::<Authority>().is_ok() && !text.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn url(base: &Base, host: &'static str) -> String {
        base.url(&HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]), false)
    }

    #[test]
    fn a_proxy_is_believed_only_where_there_is_one() {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("10.0.0.1:9696"));
        headers.insert("x-forwarded-host", HeaderValue::from_static("vpn.example.org, inner"));
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        let base = Base::of_request(false);
        assert_eq!(base.url(&headers, true), "https://vpn.example.org");
        assert_eq!(base.url(&headers, false), "http://10.0.0.1:9696");
        headers.insert("x-forwarded-proto", HeaderValue::from_static("javascript"));
        headers.insert("x-forwarded-host", HeaderValue::from_static("a b"));
        assert_eq!(base.url(&headers, true), "http://localhost");
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
