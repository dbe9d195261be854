//! `--ca`: HTTP, WebSocket and git over TLS against a server whose root only a file names.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use grasp_audit::check::{Check, CheckResult, Verdict, expect};
use grasp_audit::target::TargetError;
use grasp_audit::target::smart_http::line;
use grasp_audit::{Context, Options, Suite, probe};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

/// A v0 advertisement of a repository without refs.
fn empty_repository() -> Vec<u8> {
    let none = format!("{} capabilities^{{}}\0agent=test-server\n", "0".repeat(40));
    [line("# service=git-upload-pack\n"), b"0000".to_vec(), line(&none), b"0000".to_vec()].concat()
}

struct TlsServer {
    url: String,
    ca: PathBuf,
    _folder: TempDir,
}

/// A relay and a git host behind a certificate for `localhost`, signed by a root that is in `ca` alone.
async fn start() -> TlsServer {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_key = KeyPair::generate().unwrap();
    let root = params.self_signed(&root_key).unwrap();
    let issuer = Issuer::new(params, root_key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("root.pem");
    std::fs::write(&ca, root.pem()).unwrap();

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // a client that does not trust us goes away here
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(|request| async move { Ok::<_, Infallible>(answer(request)) });
                let http = hyper::server::conn::http1::Builder::new();
                let _ = http.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
            });
        }
    });
    TlsServer { url, ca, _folder: folder }
}

fn answer(mut request: Request<Incoming>) -> Response<Full<Bytes>> {
    if let Some(key) = request.headers().get("sec-websocket-key").cloned() {
        tokio::spawn(async move {
            let upgraded = TokioIo::new(hyper::upgrade::on(&mut request).await.unwrap());
            let mut socket = WebSocketStream::from_raw_socket(upgraded, Role::Server, None).await;
            while let Some(Ok(Message::Text(text))) = socket.next().await {
                let message: Value = serde_json::from_str(&text).unwrap();
                if message[0] == "REQ" {
                    socket.send(Message::text(json!(["EOSE", message[1]]).to_string())).await.unwrap();
                }
            }
        });
        return Response::builder()
            .status(101)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-accept", derive_accept_key(key.as_bytes()))
            .body(Full::default())
            .unwrap();
    }
    if request.uri().path().ends_with("/info/refs") {
        return Response::builder()
            .header("content-type", "application/x-git-upload-pack-advertisement")
            .body(Bytes::from(empty_repository()).into())
            .unwrap();
    }
    Response::new(json!({"supported_grasps": ["GRASP-01"]}).to_string().into())
}

async fn everything_goes_through(ctx: Context) -> CheckResult {
    let response = ctx.http.get("/", &[("accept", "application/nostr+json")]).await?;
    expect(response.json().is_some(), "a document over https", response.head())?;
    let relay = ctx.relay().await?;
    relay.req(&[json!({"limit": 1})]).await?;
    let output = ctx.git.ls_remote(&[], &format!("{}/x.git", ctx.target.url.base())).await?;
    expect(output.ok(), "git over https", output.terminal())
}

#[tokio::test]
async fn a_root_named_by_file_is_trusted_by_http_websocket_and_git() {
    let server = start().await;
    let check = Check::new("G01/cors/origin", "tls", "", everything_goes_through);
    let options = Options { ca: Some(server.ca.clone()), ..Options::default() };
    let report = Suite::of(vec![check], options).run(&server.url).await.unwrap();
    assert_eq!(report.checks[0].verdict, Verdict::Pass, "{:?}", report.checks[0]);
    let findings = probe::probe(&server.url, Some(server.ca.clone())).await.unwrap();
    assert!(findings.iter().all(|finding| finding.healthy), "{findings:?}");
}

#[tokio::test]
async fn a_root_nobody_named_is_not_trusted() {
    let server = start().await;
    let error = Suite::new(Options::default()).run(&server.url).await.unwrap_err();
    assert!(matches!(error, TargetError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("--ca FILE"), "{error}");
}

#[tokio::test]
async fn a_file_without_certificates_is_said() {
    let server = start().await;
    let path = server.ca.with_file_name("empty.pem");
    std::fs::write(&path, "not a certificate\n").unwrap();
    let options = Options { ca: Some(path), ..Options::default() };
    let error = Suite::new(options).run(&server.url).await.unwrap_err();
    assert!(matches!(error, TargetError::Certificates { .. }), "{error}");
}
