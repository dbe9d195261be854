//! Evidence of a check beside the wire: a document it read, a drawing of what happened when.
//!
//! A check adds them with [`Context::attach`](crate::Context::attach); they are in the report whatever the verdict, so
//! they are for what a reader of a report wants to see of a server that is right. Bounded in number and size.

use serde::{Deserialize, Serialize};

/// How many attachments one check may have.
pub const MAX_ATTACHMENTS: usize = 8;
/// How long the body of one may be, in bytes.
pub const MAX_BODY: usize = 256 << 10;

/// What the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Media {
    /// Plain text.
    #[serde(rename = "text/plain")]
    Text,
    /// A drawing. Reports show it as an image, in which neither scripts nor links work.
    #[serde(rename = "image/svg+xml")]
    Svg,
}

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// What it is, in a few words.
    pub title: String,
    /// What the body is.
    pub media: Media,
    /// The body.
    pub body: String,
}

impl Attachment {
    /// Text, cut after [`MAX_BODY`] bytes.
    #[must_use]
    pub fn text(title: &str, body: &str) -> Self {
        let end = body.floor_char_boundary(MAX_BODY);
        let mut kept = body[..end].to_owned();
        if end < body.len() {
            kept.push_str(&format!("\n… ({} bytes in all)", body.len()));
        }
        Self { title: title.to_owned(), media: Media::Text, body: kept }
    }

    /// A drawing. One longer than [`MAX_BODY`] cannot be cut, so it is replaced by a line that says so.
    #[must_use]
    pub fn svg(title: &str, body: &str) -> Self {
        if body.len() > MAX_BODY {
            return Self::text(title, &format!("a drawing of {} bytes, too long for a report", body.len()));
        }
        Self { title: title.to_owned(), media: Media::Svg, body: body.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_bounded() {
        let text = Attachment::text("long", &"ä".repeat(MAX_BODY));
        assert!(text.body.len() < MAX_BODY + 64 && text.body.ends_with("bytes in all)"));
        assert_eq!(Attachment::svg("long", &"x".repeat(MAX_BODY + 1)).media, Media::Text);
        assert_eq!(Attachment::svg("short", "<svg/>").media, Media::Svg);
    }
}
