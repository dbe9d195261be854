//! The network itself.

use spec_tests::container::Wanted;
use spec_tests::engine::{self, Left};
use spec_tests::image::{self, SERVER};
use spec_tests::network::Network;

const COMPANION: &str = env!("CARGO_BIN_EXE_container-under-test");

#[tokio::test(flavor = "multi_thread")]
async fn a_network_goes_with_its_test_also_when_somebody_is_still_on_it() {
    if !image::is_there(&[SERVER], "a_network_goes_with_its_test_also_when_somebody_is_still_on_it") {
        return;
    }
    let network = Network::start(COMPANION).await.unwrap();
    let container = Wanted::new(SERVER, 7334).start(COMPANION).await.unwrap();
    network.join(container.id(), "somebody.test").await;
    let run = network.run().to_owned();
    assert_eq!(engine::left_by(&run).unwrap().networks.len(), 1);

    // As when a test fails: nobody says goodbye.
    drop(network);
    assert_eq!(engine::left_by(&run).unwrap(), Left::default());
    container.end().await;
}
