//! Whether a request was meant for this box, or was made by a web page somewhere through the
//! browser of somebody who can reach it.
//!
//! A page elsewhere can send requests to an address of the local network. With a name of its own
//! that it later points to that address (DNS rebinding) it can read the answers too. Browsers say
//! in `Host`, `Origin` and `Sec-Fetch-Site` what they do, and no page can change those headers.
//! Programs that are not browsers send no `Origin`, so nothing changes for them.

use std::net::IpAddr;

use actix_cors::Cors;
use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{HOST, HeaderName, ORIGIN};
use faceood_engine::problem::texts::AccessFault;

use super::peer::Way;

const SEC_FETCH_SITE: &str = "sec-fetch-site";
const SEC_FETCH_DEST: &str = "sec-fetch-dest";

/// The names by which the box is called, and the sites whose pages may use it.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins {
    hosts: Vec<String>,
    sites: Vec<String>,
}

impl Origins {
    /// `hosts` and `sites` as the settings have them; the name of the machine is always one.
    pub(super) fn new(hosts: &[String], sites: &[String]) -> Self {
        let machine = sysinfo::System::host_name().unwrap_or_default();
        let short = machine.split('.').next().unwrap_or_default();
        let names = [
            format!("{short}.local"),
            format!("{machine}.local"),
            machine,
        ];
        let lower = |text: &String| text.to_ascii_lowercase();
        Self {
            hosts: hosts.iter().chain(&names).map(lower).collect(),
            sites: sites.iter().map(lower).collect(),
        }
    }

    /// Refuses what a page elsewhere has sent. No page reaches the Unix socket.
    pub(super) fn check(&self, request: &ServiceRequest, way: Way) -> Result<(), AccessFault> {
        if way == Way::Socket {
            return Ok(());
        }
        let host = header(request, HOST.as_str());
        // HTTP/1.0 knows no host, and no browser speaks it.
        if let Some(host) = host
            && !self.is_own(host, way)
        {
            let host = host.chars().take(64).collect();
            return Err(AccessFault::Host { host });
        }
        let is_from_elsewhere = match header(request, ORIGIN.as_str()) {
            Some(origin) => {
                let origin = origin.to_ascii_lowercase();
                let (_, site) = origin.split_once("://").unwrap_or_default();
                !self.sites.contains(&origin)
                    && host.is_none_or(|host| !site.eq_ignore_ascii_case(host))
            }
            None => {
                let site = header(request, SEC_FETCH_SITE);
                let is_reading = [Method::GET, Method::HEAD].contains(request.method());
                // Whoever follows a link sees the answer himself; the page with the link does not.
                let is_link = is_reading && header(request, SEC_FETCH_DEST) == Some("document");
                site.is_some_and(|site| ["cross-site", "same-site"].contains(&site)) && !is_link
            }
        };
        if is_from_elsewhere {
            return Err(AccessFault::CrossSite);
        }
        Ok(())
    }

    /// Whether `host`, with or without a port, is this box: an address, a name of the local network
    /// or a known name.
    fn is_own(&self, host: &str, way: Way) -> bool {
        if let Some(rest) = host.strip_prefix('[') {
            let address = rest.split(']').next();
            return address.is_some_and(|address| address.parse::<IpAddr>().is_ok());
        }
        let name = host.split(':').next().unwrap_or_default();
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        // Only somebody in the local network can make a name without a dot, and containers are
        // called by one. Where no token is asked for, that is not enough.
        let is_local = way == Way::Network && !name.is_empty() && !name.contains('.');
        // No page has an address for its name.
        name.parse::<IpAddr>().is_ok()
            || is_local
            || name == "localhost"
            || name.ends_with(".localhost")
            || self.hosts.contains(&name)
    }

    /// Tells browsers which sites may use the box.
    pub(super) fn cors(&self) -> Cors {
        let cors = Cors::default()
            .allowed_methods(["GET", "HEAD", "POST"])
            .allowed_headers(["authorization", "content-type", "x-api-key", "x-request-id"])
            .expose_headers(["retry-after", "x-faceood-node", "x-request-id"])
            .max_age(600);
        let sites = self.sites.iter();
        sites.fold(cors, |cors, site| cors.allowed_origin(site))
    }
}

fn header<'r>(request: &'r ServiceRequest, name: &str) -> Option<&'r str> {
    // A header that is no text is as foreign as an unknown one.
    let value = request.headers().get(HeaderName::try_from(name).ok()?)?;
    Some(value.to_str().unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn check(method: Method, headers: &[(&'static str, &str)]) -> Result<(), AccessFault> {
        check_by(Way::Loopback, method, headers)
    }

    fn check_by(
        way: Way,
        method: Method,
        headers: &[(&'static str, &str)],
    ) -> Result<(), AccessFault> {
        let own = ["box.example".to_owned()];
        let sites = ["https://terminal.example".to_owned()];
        let request = TestRequest::default().method(method);
        let request = headers
            .iter()
            .fold(request, |request, &header| request.insert_header(header));
        Origins::new(&own, &sites).check(&request.to_srv_request(), way)
    }

    #[test]
    fn the_box_has_its_addresses_and_its_names() {
        for host in [
            "127.0.0.1:7860",
            "192.168.1.5",
            "[::1]:7860",
            "[fe80::1]",
            "localhost:7860",
            "LOCALHOST",
            "box.example",
            "Box.Example.:7861",
            "app.localhost",
        ] {
            assert_eq!(check(Method::GET, &[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:7860",
            "box.example.evil",
            "127.0.0.1.evil.example",
            "",
            "[evil]:1",
        ] {
            let checked = check(Method::GET, &[("host", host)]);
            assert!(matches!(checked, Err(AccessFault::Host { .. })), "{host}");
        }
    }

    #[test]
    fn a_name_without_a_dot_is_known_where_a_token_is_asked_for() {
        let container = [("host", "faceood:7860")];
        assert_eq!(check_by(Way::Network, Method::GET, &container), Ok(()));
        assert!(check(Method::GET, &container).is_err());
    }

    #[test]
    fn pages_elsewhere_may_link_here_and_no_more() {
        let host = ("host", "127.0.0.1:7860");
        let cross = ("sec-fetch-site", "cross-site");
        let (get, post) = (Method::GET, Method::POST);
        let link = ("sec-fetch-dest", "document");
        let own = ("origin", "http://127.0.0.1:7860");
        assert_eq!(check(post.clone(), &[host]), Ok(()));
        assert_eq!(
            check(
                post.clone(),
                &[host, own, ("sec-fetch-site", "same-origin")]
            ),
            Ok(())
        );
        assert_eq!(check(get.clone(), &[host, cross, link]), Ok(()));
        let terminal = ("origin", "https://terminal.example");
        assert_eq!(check(post.clone(), &[host, terminal, cross]), Ok(()));
        for (method, headers) in [
            (post.clone(), vec![host, cross, link]),
            (post.clone(), vec![host, ("origin", "http://evil.example")]),
            (post.clone(), vec![host, ("origin", "null")]),
            (
                post.clone(),
                vec![host, ("origin", "http://127.0.0.1:9999")],
            ),
            (post, vec![host, ("sec-fetch-site", "same-site")]),
            (get.clone(), vec![host, cross, ("sec-fetch-dest", "image")]),
            (get.clone(), vec![host, cross, ("sec-fetch-dest", "iframe")]),
            (get, vec![host, ("origin", "https://terminal.example.evil")]),
        ] {
            assert_eq!(
                check(method, &headers),
                Err(AccessFault::CrossSite),
                "{headers:?}"
            );
        }
    }
}
