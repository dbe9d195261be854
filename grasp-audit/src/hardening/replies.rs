//! HTTP responses in a stream of bytes: how many there are, and what they say.

/// Most header fields of a response that are looked at.
const MAX_FIELDS: usize = 128;

/// One response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Header fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body, as far as it has come; chunks are joined.
    pub body: Vec<u8>,
    /// Whether all of it has come.
    pub whole: bool,
}

impl Reply {
    /// The first value of a header field; empty when absent.
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The responses at the beginning of `bytes`, in order. What is no response ends the list; interim ones (1xx other than
/// 101) are left out. `ended`: the server has ended the connection, so a body without a length is whole.
pub(crate) fn replies(bytes: &[u8], ended: bool) -> Vec<Reply> {
    let mut replies = Vec::new();
    let mut rest = bytes;
    while let Some((reply, length)) = first(rest, ended) {
        rest = &rest[length..];
        let (whole, interim) = (reply.whole, (100..200).contains(&reply.status) && reply.status != 101);
        let upgraded = reply.status == 101;
        if !interim {
            replies.push(reply);
        }
        if !whole || upgraded {
            break;
        }
    }
    replies
}

fn first(bytes: &[u8], ended: bool) -> Option<(Reply, usize)> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head) = response.parse(bytes).ok()? else { return None };
    let fields: Vec<(String, String)> = response
        .headers
        .iter()
        .map(|field| (field.name.to_ascii_lowercase(), String::from_utf8_lossy(field.value).into_owned()))
        .collect();
    let mut reply = Reply { status: response.code?, fields, body: Vec::new(), whole: true };
    let rest = &bytes[head..];
    if reply.status < 200 || matches!(reply.status, 204 | 304) {
        return Some((reply, head));
    }
    if reply.field("transfer-encoding").eq_ignore_ascii_case("chunked") {
        let length = chunks(rest, &mut reply);
        return Some((reply, head + length));
    }
    let length = reply.field("content-length").parse::<usize>().ok();
    let taken = length.unwrap_or(rest.len()).min(rest.len());
    reply.body = rest[..taken].to_vec();
    reply.whole = length.map_or(ended, |length| length <= rest.len());
    Some((reply, head + taken))
}

/// Joins chunks into the reply's body and returns how long they are in the stream.
fn chunks(bytes: &[u8], reply: &mut Reply) -> usize {
    reply.whole = false;
    let mut at = 0;
    loop {
        let Ok(httparse::Status::Complete((line, size))) = httparse::parse_chunk_size(&bytes[at..]) else {
            return bytes.len();
        };
        let (begin, size) = (at + line, usize::try_from(size).unwrap_or(usize::MAX));
        let end = begin.saturating_add(size);
        reply.body.extend_from_slice(&bytes[begin..end.min(bytes.len())]);
        at = end.saturating_add(2);
        if at > bytes.len() {
            return bytes.len();
        }
        if size == 0 {
            reply.whole = true;
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn responses_are_counted_whatever_ends_them() {
        let bytes = b"HTTP/1.1 100 Continue\r\n\r\n\
            HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\
            HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n\
            HTTP/1.1 204 No Content\r\n\r\n\
            HTTP/1.1 200 OK\r\nX: y\r\n\r\nuntil the end";
        let all = replies(bytes, false);
        let statuses: Vec<u16> = all.iter().map(|reply| reply.status).collect();
        assert_eq!(statuses, [200, 404, 204, 200]);
        assert_eq!(
            (all[0].text(), all[1].text(), all[3].text()),
            ("hello".into(), "abcde".into(), "until the end".into())
        );
        assert!(all[1].whole && !all[3].whole);
        assert!(replies(bytes, true)[3].whole);
    }

    #[test]
    fn what_is_cut_or_no_response_is_told_apart() {
        assert_eq!(replies(b"rubbish", true), []);
        assert_eq!(replies(b"HTTP/1.1 200 OK\r\nContent-", true), []);
        let cut = replies(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", true);
        assert!(!cut[0].whole && cut[0].body == b"ab");
        let cut = replies(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", false);
        assert!(!cut[0].whole && cut[0].body == b"ab");
    }
}
