//! G01/git/web: what a person sees who opens the repository's URL in a browser.

use regex::Regex;

use crate::check::{Check, CheckResult, expect, expect_eq};
use crate::context::Context;
use crate::target::http::Response;
use crate::target::url::repository_path;

const ROW: &str = "G01/git/web";
const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(
            ROW,
            "page",
            "the URL of a hosted repository is a page with a link that leads away, to a client",
            page,
        ),
        Check::new(ROW, "not-hosted", "the URL of a repository that is not hosted is a 404 page", not_hosted),
        Check::new(ROW, "hostile-name", "what the path says stands in no page as markup", hostile_name),
    ]
}

async fn page(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let response = ctx.http.get(&hosted.path, &[BROWSER]).await?;
    expect_eq("status", &200, &response.status)?;
    is_html(&response)?;
    let leads_away = links(&response.text()).iter().any(|link| {
        let other_site = link.contains("://") && !link.starts_with(&ctx.target.url.base());
        other_site || link.starts_with("nostr:")
    });
    expect(leads_away, "a link that leads away, to a git nostr client", response.text())
}

/// Where the anchors of a page lead.
fn links(page: &str) -> Vec<String> {
    // a constant, tried out below
    let Ok(anchor) = Regex::new(r#"(?is)<a\s(?:[^>]*?\s)?href\s*=\s*["']?([^"'\s>]+)"#) else {
        return Vec::new();
    };
    anchor.captures_iter(page).map(|found| found[1].to_owned()).collect()
}

async fn not_hosted(ctx: Context) -> CheckResult {
    let path = repository_path(&ctx.owner.public_key(), &ctx.identifier);
    let response = ctx.http.get(&path, &[BROWSER]).await?;
    expect_eq("status", &404, &response.status)?;
    is_html(&response)
}

async fn hostile_name(ctx: Context) -> CheckResult {
    let script = "<script>alert(1)</script>";
    let identifier = format!("{}{script}", ctx.identifier).replace('/', "\\");
    let path = repository_path(&ctx.owner.public_key(), &identifier);
    let response = ctx.http.get(&path, &[BROWSER]).await?;
    is_html(&response)?;
    let harmless = !response.text().contains("<script>alert(1)");
    expect(harmless, "an escaped name", response.text())
}

fn is_html(response: &Response) -> CheckResult {
    let content_type = response.header("content-type");
    let html = content_type.starts_with("text/html") && !response.body.is_empty();
    expect(html, "a text/html page", response.head())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_anchors_lead_somewhere() {
        let page = r#"<link href="style.css"><a data-href="/x">x</a> <a class="a" HREF='https://a.example/b'>b</a>
            <a href=nostr:naddr1x>c</a>"#;
        assert_eq!(links(page), ["https://a.example/b", "nostr:naddr1x"]);
    }
}
