//! A small git smart-HTTP client: pkt-lines, raw advertisements and `ls-refs`, for checks that look at the bytes.

use bytes::Bytes;
pub use grasp_fixtures::pkt_line::{Packet, PacketError, decode, encode, line};

use super::http::{HttpClient, HttpError, Response};

/// What a v0/v1 advertisement says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advertisement {
    /// Capabilities behind the first NUL.
    pub capabilities: Vec<String>,
    /// Ref name and object id in the order of the lines, peeled entries included.
    pub refs: Vec<(String, String)>,
}

impl Advertisement {
    /// Reads the body of `info/refs` in v0 or v1.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(body: &[u8]) -> Result<Self, PacketError> {
        let mut advertisement = Self::default();
        for packet in decode(body)? {
            let Packet::Data(payload) = packet else {
                continue;
            };
            let payload = String::from_utf8_lossy(&payload).trim_end_matches('\n').to_owned();
            if payload.starts_with("# service=")
                || payload.starts_with("version ")
                || payload.starts_with("shallow ")
            {
                continue;
            }
            let (reference, capabilities) = payload.split_once('\0').unwrap_or((&payload, ""));
            advertisement.capabilities.extend(capabilities.split_whitespace().map(str::to_owned));
            if let Some((oid, name)) = reference.split_once(' ')
                && name != "capabilities^{}"
            {
                advertisement.refs.push((name.to_owned(), oid.to_owned()));
            }
        }
        Ok(advertisement)
    }

    /// Whether a capability is there, by name (`filter`) or with its value (`agent=…`).
    #[must_use]
    pub fn has(&self, capability: &str) -> bool {
        let named = format!("{capability}=");
        self.capabilities.iter().any(|listed| listed == capability || listed.starts_with(&named))
    }

    /// The object id of a ref.
    #[must_use]
    pub fn oid(&self, name: &str) -> Option<&str> {
        self.refs.iter().find(|(listed, _)| listed == name).map(|(_, oid)| oid.as_str())
    }
}

/// What v2 `ls-refs` answers for one ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRef {
    /// Full name.
    pub name: String,
    /// Object id, or `unborn`.
    pub oid: String,
    /// What a symbolic ref points at.
    pub symref_target: Option<String>,
    /// What an annotated tag peels to.
    pub peeled: Option<String>,
}

/// `GET <repository>/info/refs?service=<service>`, with `Git-Protocol: version=<n>` when `version` is not 0.
///
/// # Errors
/// When no response came.
pub async fn info_refs(
    http: &HttpClient,
    repository: &str,
    service: &str,
    version: u8,
) -> Result<Response, HttpError> {
    let protocol = format!("version={version}");
    let headers: &[(&str, &str)] = if version == 0 { &[] } else { &[("git-protocol", &protocol)] };
    http.get(&format!("{repository}/info/refs?service={service}"), headers).await
}

/// `POST <repository>/git-upload-pack` with this body, in protocol v2.
///
/// # Errors
/// When no response came.
pub async fn upload_pack_v2(
    http: &HttpClient,
    repository: &str,
    body: impl Into<Bytes>,
) -> Result<Response, HttpError> {
    let headers = [
        ("git-protocol", "version=2"),
        ("content-type", "application/x-git-upload-pack-request"),
        ("accept", "application/x-git-upload-pack-result"),
    ];
    http.post(&format!("{repository}/git-upload-pack"), &headers, body).await
}

/// Protocol v2 `ls-refs` for everything, with `peel`, `symrefs` and `unborn`.
///
/// # Errors
/// When no response came; a response that is no listing is an empty listing beside the response.
pub async fn ls_refs(http: &HttpClient, repository: &str) -> Result<(Response, Vec<ListedRef>), HttpError> {
    let mut body = line("command=ls-refs\n");
    body.extend(line("object-format=sha1\n"));
    body.extend(b"0001");
    for argument in ["peel\n", "symrefs\n", "unborn\n"] {
        body.extend(line(argument));
    }
    body.extend(b"0000");
    let response = upload_pack_v2(http, repository, body).await?;
    let packets = decode(&response.body).unwrap_or_default();
    let listed = packets.iter().filter_map(|packet| listed_ref(&packet.text())).collect();
    Ok((response, listed))
}

fn listed_ref(text: &str) -> Option<ListedRef> {
    let mut words = text.split(' ');
    let mut listed = ListedRef {
        oid: words.next()?.to_owned(),
        name: words.next()?.to_owned(),
        symref_target: None,
        peeled: None,
    };
    for attribute in words {
        match attribute.split_once(':') {
            Some(("symref-target", target)) => listed.symref_target = Some(target.to_owned()),
            Some(("peeled", oid)) => listed.peeled = Some(oid.to_owned()),
            _ => {}
        }
    }
    Some(listed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn advertisement_is_read() {
        let mut body = line("# service=git-upload-pack\n");
        body.extend(b"0000");
        body.extend(line("aa HEAD\0filter agent=x symref=HEAD:refs/heads/main\n"));
        body.extend(line("aa refs/heads/main\n"));
        body.extend(b"0000");
        let advertisement = Advertisement::parse(&body).unwrap();
        assert!(advertisement.has("filter") && advertisement.has("agent") && !advertisement.has("thin"));
        assert_eq!(advertisement.oid("refs/heads/main"), Some("aa"));
    }
}
