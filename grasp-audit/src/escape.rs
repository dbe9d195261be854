//! Text that a server chose, made harmless for where it is shown. HTML is escaped by maud; here is the rest.

/// The text with what a terminal or a reader would obey made visible: control characters other than line break and
/// tab, and characters that turn the direction of writing or take no room.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            _ if c.is_control() || is_unseen(c) => shown.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            _ => shown.push(c),
        }
    }
    shown
}

fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// One line of Markdown that shows `text` as it is, also within a table; `` `code` `` in the suite's own sentences stays.
#[must_use]
pub fn markdown(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return plain(text);
    }
    let part = |(position, part): (usize, &&str)| {
        if position % 2 == 0 || part.is_empty() { plain(part) } else { code(part) }
    };
    parts.iter().enumerate().map(part).collect()
}

/// A code span that shows `text` as it is, also within a table.
#[must_use]
pub fn code(text: &str) -> String {
    let text = visible(text).replace(['\n', '\t'], " ");
    let fence = "`".repeat(longest_run(&text) + 1);
    // a pipe would end the cell of a table, also within a code span; its escape is taken away again there only
    let text = if text.contains('|') { return plain(&text) } else { text };
    let pad = if text.starts_with('`') || text.ends_with('`') || text.trim().is_empty() { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A block that shows `text` as it is.
#[must_use]
pub fn fenced(text: &str) -> String {
    let text = visible(text);
    let fence = "`".repeat(longest_run(&text).max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end())
}

fn plain(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '\n' | '\t' => escaped.push(' '),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // an address would become a link, and a name a mention
            ':' => escaped.push_str("&#58;"),
            '@' => escaped.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '+' | '-' | '!' | '|'
            | '~' | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            _ => escaped.push(c),
        }
    }
    escaped
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing() {
        assert_eq!(visible("a\u{1b}[2Jb\r\n\u{202e}c\td"), "a\\u{1b}[2Jb\\u{d}\n\\u{202e}c\td");
    }

    #[test]
    fn markdown_shows_what_was_said() {
        assert_eq!(markdown("<b>x</b> | [a](b) *c*"), r"&lt;b&gt;x&lt;/b&gt; \| \[a\]\(b\) \*c\*");
        assert_eq!(markdown("a `prefix x` and `y"), r"a \`prefix x\` and \`y");
        assert_eq!(markdown("a `prefix: x` b-c"), r"a `prefix: x` b\-c");
        assert_eq!(markdown("see https://evil.example @you"), r"see https&#58;//evil.example &#64;you");
        assert_eq!(code("a|b"), r"a\|b");
        assert_eq!(code("``"), "``` `` ```");
    }

    #[test]
    fn a_block_ends_where_we_end_it() {
        assert_eq!(fenced("a\n```\n<script>\n````` b"), "``````text\na\n```\n<script>\n````` b\n``````\n");
    }
}
