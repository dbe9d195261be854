//! Where the reports of an audit go: the options, and the writing of the files.

use std::path::{Path, PathBuf};

use clap::Args;
use grasp_audit::report::baseline::Baseline;
use grasp_audit::report::comparison::{self, Comparison, Examined};
use grasp_audit::report::terminal::{self, takes_colour};
use grasp_audit::report::{badge, html, junit, markdown};
use grasp_audit::target::url::ServiceUrl;
use grasp_audit::{Report, document, hardening};

use super::outputs::Outputs;

/// The files that `audit` writes.
#[derive(Args, Debug)]
#[command(
    next_help_heading = "Reports (of several servers: FILE compares them, FILE with each host's name is its own)"
)]
pub(crate) struct ReportFiles {
    /// As JSON, for programs and as a later --baseline
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// As JUnit XML, for CI
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// As Markdown, for issues and job summaries
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// As one HTML page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// A badge for a README, SVG
    #[arg(long, value_name = "FILE")]
    badge: Option<PathBuf>,
    /// An earlier --json report of the same server: fail only on what got worse since
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
}

impl ReportFiles {
    /// The baseline, read before anything is examined, so that a wrong file costs no time.
    pub(crate) fn baseline(&self, servers: usize) -> Result<Option<Report>, String> {
        let Some(path) = &self.baseline else { return Ok(None) };
        if servers > 1 {
            return Err("--baseline compares a server with its own past: give one URL with it".to_owned());
        }
        document::read(path).map(Some).map_err(|error| format!("--baseline: {error}"))
    }

    /// Every file can be written, tried before anything is examined.
    pub(crate) fn check(&self, urls: &[String]) -> Result<(), String> {
        let of_each = |path: &Option<PathBuf>| -> Vec<PathBuf> {
            let Some(path) = path.as_deref().filter(|_| urls.len() > 1) else { return Vec::new() };
            urls.iter().map(|url| named(path, url)).collect()
        };
        let together = Outputs::default()
            .and("--json", self.json.as_ref())
            .and("--junit", self.junit.as_ref())
            .and("--markdown", self.markdown.as_ref())
            .and("--html", self.html.as_ref());
        let badge = self.badge.as_ref().filter(|_| urls.len() == 1);
        together
            .and("--badge", badge)
            .and_all("--json", of_each(&self.json))
            .and_all("--markdown", of_each(&self.markdown))
            .and_all("--html", of_each(&self.html))
            .and_all("--badge", of_each(&self.badge))
            .check()
    }

    /// Prints the report of one server and writes its files.
    pub(crate) fn write_one(
        &self,
        report: &mut Report,
        baseline: Option<&Report>,
        quiet: bool,
    ) -> Result<(), String> {
        report.baseline = baseline.map(|baseline| Baseline::between(baseline, report));
        if !report.checks.is_empty() {
            let render = if quiet { terminal::render_brief } else { terminal::render };
            print!("{}", render(report, takes_colour()));
        }
        if let Some(hardening) = &report.hardening {
            print!("{}", hardening::terminal::render(hardening, takes_colour()));
        }
        self.write(report, Path::to_owned)?;
        self.write_junit(&[report])
    }

    /// Prints the comparison and writes its files beside those of each server.
    pub(crate) fn write_all(&self, comparison: &Comparison, examined: &[Examined]) -> Result<(), String> {
        print!("{}", comparison::terminal::render(comparison, takes_colour()));
        let reports: Vec<&Report> = examined
            .iter()
            .filter_map(|one| match one {
                Examined::Report(report) => Some(report),
                Examined::Unreachable { .. } => None,
            })
            .collect();
        for report in &reports {
            self.write(report, |path| named(path, &report.url))?;
        }
        if let Some(path) = &self.json {
            write(path, &comparison.to_json().map_err(|error| error.to_string())?)?;
        }
        if let Some(path) = &self.markdown {
            write(path, &comparison::markdown::render(comparison))?;
        }
        if let Some(path) = &self.html {
            let link = |one: &Examined| match one {
                Examined::Report(report) => {
                    Some(named(path, &report.url).file_name()?.to_string_lossy().into_owned())
                }
                Examined::Unreachable { .. } => None,
            };
            let links: Vec<Option<String>> = examined.iter().map(link).collect();
            write(path, &comparison::html::render(comparison, &links))?;
        }
        self.write_junit(&reports)
    }

    fn write(&self, report: &Report, place: impl Fn(&Path) -> PathBuf) -> Result<(), String> {
        if let Some(path) = &self.json {
            write(&place(path), &report.to_json().map_err(|error| error.to_string())?)?;
        }
        if let Some(path) = &self.markdown {
            write(&place(path), &markdown::render(report))?;
        }
        if let Some(path) = &self.html {
            write(&place(path), &html::render(report))?;
        }
        if let Some(path) = &self.badge {
            write(&place(path), &badge::render(report))?;
        }
        Ok(())
    }

    fn write_junit(&self, reports: &[&Report]) -> Result<(), String> {
        let Some(path) = &self.junit else { return Ok(()) };
        write(path, &junit::render(reports).map_err(|error| error.to_string())?)
    }
}

/// `report.html` of `https://git.example.org:8443` is `report.git.example.org-8443.html`.
fn named(path: &Path, url: &str) -> PathBuf {
    let authority = ServiceUrl::parse(url).map(|url| url.authority()).unwrap_or_default();
    let host: String =
        authority.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match path.extension() {
        Some(extension) => path.with_file_name(format!("{stem}.{host}.{}", extension.to_string_lossy())),
        None => path.with_file_name(format!("{stem}.{host}")),
    }
}

/// Writes a file and says so, or says which one cannot be written.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    eprintln!("written: {}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_several_servers_carry_their_names() {
        let of = |file: &str, url: &str| named(Path::new(file), url).to_string_lossy().into_owned();
        assert_eq!(of("out/audit.html", "https://git.example.org"), "out/audit.git.example.org.html");
        assert_eq!(of("audit.json", "http://127.0.0.1:7334"), "audit.127.0.0.1-7334.json");
        assert_eq!(of("audit", "http://[::1]:7334"), "audit.---1--7334");
    }
}
