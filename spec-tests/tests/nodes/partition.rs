//! The network falls in two, and both sides go on.

use grasp_fixtures::{events, keys};
use spec_tests::project::{arrives, publish, serves};

use crate::mesh::Mesh;

#[tokio::test(flavor = "multi_thread")]
async fn what_both_sides_of_a_partition_took_is_everywhere_once_it_heals() {
    let Some(mesh) = Mesh::start("what_both_sides_of_a_partition_took_is_everywhere_once_it_heals").await
    else {
        return;
    };
    let [first, second, third] = mesh.nodes();
    let (mut project, _) = mesh.project("partition").await;

    mesh.cut_off(third).await;
    project.commit("on the one side\n").await;
    let state = project.state_on(first).await;
    let issue = events::issue(&project.coordinate(), "on the other side", "").sign(&keys::fresh());
    publish(third, &issue).await;
    let (pull, change) = project.pull_request(third, "on the other side").await;
    publish(third, &pull).await;
    arrives(second, &state).await;
    for (node, event) in [(third, &state), (first, &issue), (first, &pull), (second, &issue)] {
        assert!(!serves(node, event).await, "nothing gets through");
    }

    mesh.heal(third).await;
    mesh.is_level_with(&project, &[&state, &issue, &pull]).await;
    for node in [first, second] {
        project.comes_to_show(node, &format!("refs/nostr/{}", pull.id), &change).await;
    }
    mesh.end().await;
}
