//! A small git smart-HTTP client: pkt-lines, raw advertisements and `ls-refs`, for checks that look at the bytes.

use bytes::Bytes;

use super::http::{HttpClient, HttpError, Response};

/// One pkt-line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// `0000`
    Flush,
    /// `0001`
    Delimiter,
    /// `0002`
    ResponseEnd,
    /// A line with its payload.
    Data(Vec<u8>),
}

impl Packet {
    /// The payload as text without its line break; empty for the special packets.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Data(bytes) => String::from_utf8_lossy(bytes).trim_end_matches('\n').to_owned(),
            _ => String::new(),
        }
    }
}

/// What is wrong with a stream of pkt-lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no pkt-line at byte {at}: {what}")]
pub struct PacketError {
    /// Where.
    pub at: usize,
    /// What was found.
    pub what: String,
}

/// Encodes text as a pkt-line.
#[must_use]
pub fn line(text: &str) -> Vec<u8> {
    let mut encoded = format!("{:04x}", text.len() + 4).into_bytes();
    encoded.extend_from_slice(text.as_bytes());
    encoded
}

/// Encodes a stream of pkt-lines.
#[must_use]
pub fn encode(packets: &[Packet]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for packet in packets {
        match packet {
            Packet::Flush => encoded.extend_from_slice(b"0000"),
            Packet::Delimiter => encoded.extend_from_slice(b"0001"),
            Packet::ResponseEnd => encoded.extend_from_slice(b"0002"),
            Packet::Data(bytes) => {
                encoded.extend_from_slice(format!("{:04x}", bytes.len() + 4).as_bytes());
                encoded.extend_from_slice(bytes);
            }
        }
    }
    encoded
}

/// Decodes pkt-lines to the end of `bytes`, or until something that begins with `PACK` and is none.
///
/// # Errors
/// When a length is no length or reaches past the end.
pub fn decode(bytes: &[u8]) -> Result<Vec<Packet>, PacketError> {
    let mut packets = Vec::new();
    let mut at = 0;
    while at < bytes.len() && !bytes[at..].starts_with(b"PACK") {
        let wrong = |what: &str| PacketError { at, what: what.to_owned() };
        let digits = bytes.get(at..at + 4).ok_or_else(|| wrong("fewer than four bytes"))?;
        let digits = std::str::from_utf8(digits).map_err(|_| wrong("length is no text"))?;
        let length = usize::from_str_radix(digits, 16).map_err(|_| wrong(&format!("length {digits:?}")))?;
        let (packet, size) = match length {
            0 => (Packet::Flush, 4),
            1 => (Packet::Delimiter, 4),
            2 => (Packet::ResponseEnd, 4),
            3 => return Err(wrong("length 3")),
            _ => {
                let payload = bytes.get(at + 4..at + length).ok_or_else(|| wrong("it ends too early"))?;
                (Packet::Data(payload.to_vec()), length)
            }
        };
        packets.push(packet);
        at += size;
    }
    Ok(packets)
}

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
    fn packets_survive_the_way_there_and_back() {
        let packets =
            vec![Packet::Data(b"a\n".to_vec()), Packet::Delimiter, Packet::Data(vec![]), Packet::Flush];
        assert_eq!(decode(&encode(&packets)).unwrap(), packets);
        assert!(decode(b"0009ab").is_err());
        assert!(decode(b"zzzz").is_err());
    }

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
