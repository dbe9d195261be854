//! Our own images, as `make image` has left them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use parking_lot::Mutex;

use crate::engine::{self, docker};
use crate::gate;

/// The image of the server.
pub const SERVER: &str = "grasp-server";
/// The image of the suite.
pub const AUDIT: &str = "grasp-audit";

/// Whether `test`, which needs an engine that has these images, can be carried out; says why not.
///
/// # Panics
/// When it cannot, where the gate is to be complete.
#[must_use]
pub fn is_there(images: &[&'static str], test: &str) -> bool {
    static LOADED: LazyLock<Mutex<BTreeMap<&str, Result<(), String>>>> = LazyLock::new(Mutex::default);
    let loaded = {
        let mut known = LOADED.lock();
        images.iter().try_for_each(|image| known.entry(image).or_insert_with(|| load(image)).clone())
    };
    loaded.map_err(|why| gate::skip(test, &why)).is_ok()
}

/// The image, loaded into the engine from the archive that `make image` has made; why not, otherwise.
fn load(image: &str) -> Result<(), String> {
    engine::version()
        .map_err(|error| format!("no container engine answers ({error}); `make test` starts one"))?;
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/image/{image}.tar.gz"));
    if !archive.exists() {
        return Err(format!("there is no image {image}; `make image` builds it, and so does `make test`"));
    }
    docker(&["load".as_ref(), "--quiet".as_ref(), "--input".as_ref(), archive.as_os_str()])
        .map(drop)
        .map_err(|error| error.to_string())
}
