//! Connects the rooms to the HTTP door.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt as _;
use nostr::nips::nip19::ToBech32 as _;

use crate::git::{GitPath, GitService, serve};
use crate::house::House;
use crate::http::{
    Body, Client, GitCall, GitDoor, GitResource, Permit, RelayDoor, RelayStream, Repositories,
    RepositoryView, RequestBody,
};
use crate::nip34::Coordinate;
use crate::relay::{self, ClientInfo, Relay};

pub(super) struct RelayRoom {
    pub(super) relay: Arc<Relay>,
    pub(super) nip11: Bytes,
}

impl RelayDoor for RelayRoom {
    fn nip11(&self) -> Bytes {
        self.nip11.clone()
    }

    fn admit(&self, address: IpAddr) -> Option<Permit> {
        Some(Box::new(self.relay.admit(address)?))
    }

    fn serve(self: Arc<Self>, stream: RelayStream, client: Client, permit: Permit) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            relay::serve(stream, ClientInfo { address: client.address }, Arc::clone(&self.relay)).await;
            drop(permit);
        })
    }
}

pub(super) struct GitRoom {
    pub(super) git: Arc<GitService>,
    /// The same below `/prs/`; absent when contributors have no repositories here.
    pub(super) contributions: Option<Arc<GitService>>,
    pub(super) house: Arc<House>,
}

#[async_trait::async_trait]
impl GitDoor for GitRoom {
    async fn serve(
        &self,
        call: GitCall,
        request: http::Request<RequestBody>,
    ) -> Option<http::Response<Body>> {
        let git = if call.contributed {
            self.contributions.as_ref()?
        } else {
            self.house.is_hosted(&call.repository).then_some(&self.git)?
        };
        let path = match call.resource {
            GitResource::InfoRefs => GitPath::InfoRefs,
            GitResource::UploadPack => GitPath::UploadPack,
            GitResource::ReceivePack => GitPath::ReceivePack,
        };
        let response = serve(Arc::clone(git), call.repository, path, request).await;
        Some(response.map(|body| body.map_err(Into::into).boxed_unsync()))
    }
}

pub(super) struct Pages(pub(super) Arc<House>);

#[async_trait::async_trait]
impl Repositories for Pages {
    async fn describe(&self, repository: &Coordinate) -> Option<RepositoryView> {
        if !self.0.is_hosted(repository) {
            return None;
        }
        match self.0.describe(repository).await {
            Ok(view) => view,
            Err(error) => {
                tracing::error!(%repository, %error, "a repository's page cannot be made");
                None
            }
        }
    }
}

impl House {
    async fn describe(
        self: &Arc<Self>,
        repository: &Coordinate,
    ) -> Result<Option<RepositoryView>, crate::house::HouseError> {
        let family = self.load(&repository.identifier).await?;
        let Some(known) = family.announcements.get(&repository.owner).and_then(|slot| slot.newest()) else {
            return Ok(None);
        };
        let announcement = &known.announcement;
        let mut maintainers = family.hosted().remove(&repository.owner).unwrap_or_default();
        let owner = maintainers.take(&repository.owner);
        let refs = {
            let (house, repository) = (Arc::clone(self), repository.clone());
            let load = tokio::task::spawn_blocking(move || house.repositories.snapshot(&repository));
            load.await.map_err(|error| crate::house::HouseError::Ended(error.to_string()))??
        };
        let branch = |name: &str| name.strip_prefix("refs/heads/").map(str::to_owned);
        let entries = refs.iter().flat_map(|refs| &refs.refs);
        Ok(Some(RepositoryView {
            name: announcement.name.clone().unwrap_or_default(),
            description: announcement.description.clone().unwrap_or_default(),
            clone_url: self.plan.service.clone_url(repository),
            waiting: !family.is_served(&repository.owner),
            archived: known.archived,
            maintainers: owner
                .into_iter()
                .chain(maintainers)
                .map(|key| key.to_bech32().unwrap_or_else(|never| match never {}))
                .collect(),
            branches: entries.filter_map(|entry| branch(entry.name.as_str())).collect(),
            head: refs.as_ref().and_then(|refs| branch(refs.head.as_str())),
        }))
    }
}
