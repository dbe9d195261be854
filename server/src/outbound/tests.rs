//! The guard against names that lie and servers that lead elsewhere. Nothing here leaves the machine: names are answered
//! by a resolver of the tests' own, and connections are made to loopback servers only.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::http::HeaderValue;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::http::{MAX_REDIRECTS, Question};
use super::*;

/// Gives one answer after the other, the last again and again; counts how often it is asked.
#[derive(Debug, Default)]
struct Names {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Resolver for Names {
    fn resolve<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut answers = self.answers.lock();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(async move { Ok(answer.unwrap_or_default()) })
    }
}

fn names(answers: &[&[&str]]) -> Arc<Names> {
    let addresses = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
    Arc::new(Names { answers: Mutex::new(answers.iter().map(addresses).collect()), ..Names::default() })
}

fn quick() -> Patience {
    Patience { idle: Duration::from_millis(300), ..Patience::default() }
}

fn guard(reach: Reach, names: &Arc<Names>) -> Outbound {
    Outbound::with(reach, Arc::clone(names) as _, Trust::only([]).unwrap(), quick())
}

fn to(url: &str) -> Destination {
    Destination::parse(url).unwrap()
}

/// A web server on loopback that answers every request with what `answer` makes of its first line.
struct Web {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    _task: AbortOnDropHandle<()>,
}

async fn web(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Web {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let task = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let first = head.lines().next().unwrap_or_default().to_owned();
            seen.lock().push(head);
            let _ = stream.write_all(answer(&first).as_bytes()).await;
        }
    });
    Web { port, requests, _task: AbortOnDropHandle::new(task) }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn redirect(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

#[rstest]
#[case::loopback("127.0.0.1")]
#[case::private("10.1.2.3")]
#[case::link_local("169.254.169.254")]
#[case::carrier_nat("100.64.0.1")]
#[case::multicast("224.0.0.1")]
#[case::documentation("192.0.2.1")]
#[case::benchmarking("198.18.0.1")]
#[case::reserved("240.0.0.1")]
#[case::unspecified("0.0.0.0")]
#[case::broadcast("255.255.255.255")]
#[case::loopback_v6("::1")]
#[case::unique_local("fd00::1")]
#[case::link_local_v6("fe80::1")]
#[case::site_local("fec0::1")]
#[case::mapped("::ffff:127.0.0.1")]
#[case::compatible("::127.0.0.1")]
#[case::nat64("64:ff9b::10.0.0.1")]
#[case::local_nat64("64:ff9b:1::10.0.0.1")]
#[case::six_to_four("2002:7f00:1::1")]
#[case::teredo("2001:0:7f00:1::f7f7:f7f7")]
#[tokio::test]
async fn a_public_service_refuses_this_class_as_an_address_and_as_the_answer_of_a_name(
    #[case] address: &str,
) {
    let names = names(&[&[address]]);
    let guard = guard(Reach::Public, &names);
    let address: IpAddr = address.parse().unwrap();
    let literal = match address {
        IpAddr::V4(address) => format!("http://{address}/"),
        IpAddr::V6(address) => format!("http://[{address}]/"),
    };
    for url in [literal.as_str(), "wss://relay.example/", "https://git.example:8443/x.git"] {
        let refused = guard.connect(&to(url)).await.err().unwrap();
        assert!(
            matches!(&refused, OutboundError::Forbidden { address: told, .. } if *told == address),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn of_mixed_answers_only_the_permitted_addresses_are_used() {
    let names = names(&[&["10.0.0.1", "1.1.1.1", "::1", "2606:4700::1111"]]);
    let addresses = guard(Reach::Public, &names).addresses(&to("https://git.example")).await.unwrap();
    let expected: [SocketAddr; 2] =
        ["1.1.1.1:443".parse().unwrap(), "[2606:4700::1111]:443".parse().unwrap()];
    assert_eq!(addresses, expected);
}

#[tokio::test]
async fn localhost_is_loopback_whatever_a_resolver_would_say() {
    let names = names(&[&["1.1.1.1"]]);
    for url in ["http://localhost/", "http://a.LocalHost./"] {
        let refused = guard(Reach::Public, &names).addresses(&to(url)).await.unwrap_err();
        assert!(matches!(refused, OutboundError::Forbidden { class: Class::Loopback, .. }), "{refused}");
    }
    assert_eq!(names.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_loopback_service_looks_up_no_name() {
    let names = names(&[&["127.0.0.1"]]);
    let refused = guard(Reach::Loopback, &names).addresses(&to("wss://relay.example")).await.unwrap_err();
    assert!(matches!(refused, OutboundError::Elsewhere(_)), "{refused}");
    let refused = guard(Reach::Loopback, &names).addresses(&to("wss://1.1.1.1")).await.unwrap_err();
    assert!(matches!(refused, OutboundError::Forbidden { class: Class::Global, .. }), "{refused}");
    assert_eq!(names.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_answer_that_changes_after_the_check_changes_nothing() {
    let web = web(|_| ok("this machine")).await;
    // First loopback, which may be connected to here; from the second question on somewhere else.
    let names = names(&[&["127.0.0.1"], &["192.0.2.1"]]);
    let guard = guard(Reach::Anywhere, &names);
    let url = to(&format!("http://rebinding.example:{}/", web.port));
    let answer = guard.ask(&url, &Question::get(100)).await.unwrap().whole().await.unwrap();
    assert_eq!((&answer[..], names.asked.load(Ordering::Relaxed)), (&b"this machine"[..], 1));
}

#[tokio::test]
async fn a_redirect_looks_the_name_up_again_and_is_checked_again() {
    let web = web(|_| redirect("/again")).await;
    // The reach is all hosts; 0.0.0.0 is none.
    let names = names(&[&["127.0.0.1"], &["0.0.0.0"]]);
    let guard = guard(Reach::Anywhere, &names);
    let url = to(&format!("http://rebinding.example:{}/", web.port));
    let refused = guard.ask(&url, &Question::get(100)).await.unwrap_err();
    assert!(matches!(refused, OutboundError::Forbidden { class: Class::Unspecified, .. }), "{refused}");
    assert_eq!((names.asked.load(Ordering::Relaxed), web.requests.lock().len()), (2, 1));
}

#[rstest]
#[case("http://169.254.169.254/latest/meta-data", "link-local")]
#[case("http://10.0.0.1/", "private")]
#[case("http://[::ffff:10.0.0.1]/", "private")]
#[case("http://2130706433/", "disguised")]
#[case("http://user:secret@127.0.0.1/", "credentials")]
#[case("file:///etc/passwd", "scheme")]
#[case("git://127.0.0.1/x.git", "scheme")]
#[case("ws://127.0.0.1/", "no web server")]
#[case("https://elsewhere.example/", "is not on it")]
#[tokio::test]
async fn a_redirect_leads_nowhere_that_a_url_would_not(#[case] location: &'static str, #[case] why: &str) {
    let web = web(move |_| redirect(location)).await;
    let names = names(&[]);
    let url = to(&format!("http://127.0.0.1:{}/", web.port));
    let refused = guard(Reach::Loopback, &names).ask(&url, &Question::get(100)).await.unwrap_err();
    assert!(refused.to_string().contains(why), "{refused}");
    assert_eq!(names.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn redirects_are_followed_so_often_and_no_further() {
    let web = web(|first| match first.split(' ').nth(1) {
        Some("/3") => redirect("2"),
        Some("/2") => redirect("/1"),
        Some("/1") => redirect("/0"),
        Some("/0") => ok("arrived"),
        _ => redirect("/4"),
    })
    .await;
    let guard = guard(Reach::Loopback, &names(&[]));
    let url = |path: &str| to(&format!("http://127.0.0.1:{}{path}", web.port));
    let answer = guard.ask(&url("/3"), &Question::get(100)).await.unwrap();
    assert_eq!(answer.from, url("/0"));
    assert_eq!(&answer.whole().await.unwrap()[..], b"arrived");
    let refused = guard.ask(&url("/4"), &Question::get(100)).await.unwrap_err();
    assert!(matches!(refused, OutboundError::TooManyRedirects(MAX_REDIRECTS)), "{refused}");
}

#[tokio::test]
async fn a_post_follows_no_redirect() {
    let web = web(|_| redirect("/elsewhere")).await;
    let url = to(&format!("http://127.0.0.1:{}/", web.port));
    let question = Question::post("wants".into(), 100)
        .with(::http::header::CONTENT_TYPE, HeaderValue::from_static("x/y"));
    let answer = guard(Reach::Loopback, &names(&[])).ask(&url, &question).await.unwrap();
    assert_eq!(answer.status, 302);
    assert_eq!(web.requests.lock().len(), 1);
}

#[tokio::test]
async fn no_credentials_and_no_proxy_are_used() {
    let web = web(|_| ok("")).await;
    let url = to(&format!("http://127.0.0.1:{}/path?query", web.port));
    guard(Reach::Loopback, &names(&[])).ask(&url, &Question::get(100)).await.unwrap();
    let request = web.requests.lock()[0].to_ascii_lowercase();
    assert!(request.starts_with("get /path?query http/1.1\r\n"), "{request}");
    assert!(!request.contains("authorization") && !request.contains("cookie"), "{request}");
}

#[tokio::test]
async fn a_body_is_read_up_to_its_bound() {
    let web = web(|_| ok(&"x".repeat(1000))).await;
    let url = to(&format!("http://127.0.0.1:{}/", web.port));
    let guard = guard(Reach::Loopback, &names(&[]));
    assert_eq!(guard.ask(&url, &Question::get(1000)).await.unwrap().whole().await.unwrap().len(), 1000);
    let refused = guard.ask(&url, &Question::get(999)).await.unwrap().whole().await.unwrap_err();
    assert!(matches!(refused, OutboundError::TooLong(999)), "{refused}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = to(&format!("http://{}/", listener.local_addr().unwrap()));
    let refused = guard(Reach::Loopback, &names(&[])).ask(&url, &Question::get(9)).await.unwrap_err();
    assert!(matches!(refused, OutboundError::Slow("the answer", _)), "{refused}");
}

#[tokio::test]
async fn a_body_that_stalls_is_left() {
    let web = web(|_| "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_owned()).await;
    let url = to(&format!("http://127.0.0.1:{}/", web.port));
    let broken =
        guard(Reach::Loopback, &names(&[])).ask(&url, &Question::get(9)).await.unwrap().whole().await;
    assert!(broken.is_err());
}

/// A TLS server for `localhost`, and its certificate.
async fn encrypted() -> (u16, rustls::pki_types::CertificateDer<'static>, AbortOnDropHandle<()>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let answer =
                if head.starts_with(b"GET /down ") { redirect("http://localhost/") } else { ok("secret") };
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, made.cert.der().clone(), AbortOnDropHandle::new(task))
}

#[tokio::test]
async fn a_certificate_is_held_against_the_name_and_the_trusted_roots() {
    let (port, certificate, _server) = encrypted().await;
    let patient = |trust| Outbound::with(Reach::Loopback, names(&[]), trust, quick());
    let trusting = patient(Trust::only([certificate]).unwrap());
    let url = to(&format!("https://localhost:{port}/"));
    let answer = trusting.ask(&url, &Question::get(100)).await.unwrap().whole().await.unwrap();
    assert_eq!(&answer[..], b"secret");

    let other_name = to(&format!("https://127.0.0.1:{port}/"));
    for (guard, url) in [(&trusting, &other_name), (&patient(Trust::only([]).unwrap()), &url)] {
        let refused = guard.ask(url, &Question::get(100)).await.unwrap_err();
        assert!(matches!(refused, OutboundError::Tls(..)), "{refused}");
    }
}

#[tokio::test]
async fn a_redirect_does_not_lead_out_of_tls() {
    let (port, certificate, _server) = encrypted().await;
    let guard = Outbound::with(Reach::Loopback, names(&[]), Trust::only([certificate]).unwrap(), quick());
    let refused =
        guard.ask(&to(&format!("https://localhost:{port}/down")), &Question::get(9)).await.unwrap_err();
    assert!(refused.to_string().contains("not encrypted any more"), "{refused}");
}
