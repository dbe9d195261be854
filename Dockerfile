# The images `grasp-server` and `grasp-audit`.
#
#   docker build --target server -t grasp-server .        with a registry: everything is built in here
#   docker build --target audit  -t grasp-audit  .
#   make image                                            without one: the same images from Debian packages and cargo
#
# `make image` puts its own two stages, `system` and `programs`, in the place of those above "the images".

FROM rust:1.95-trixie AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p grasp-server -p grasp-audit

FROM debian:trixie-slim AS debian
RUN apt-get update && apt-get install -y --no-install-recommends git ca-certificates tini
COPY image/rootfs /usr/local/bin/rootfs
RUN rootfs /rootfs

FROM scratch AS system
COPY --from=debian /rootfs /
COPY --from=debian --chown=10001:10001 /rootfs/var/lib/grasp /var/lib/grasp

FROM scratch AS programs
COPY --from=build /src/target/release/grasp-server /src/target/release/grasp-audit /

# ---- the images

FROM system AS server
LABEL org.opencontainers.image.title="grasp-server" \
      org.opencontainers.image.description="A GRASP server: a Nostr relay and a git host behind one port" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=programs /grasp-server /usr/bin/grasp-server
# A number, so that orchestrators can tell that it is not root.
USER 10001:10001
# Everything that is kept: events, git data, the relay owner's key.
WORKDIR /var/lib/grasp
VOLUME /var/lib/grasp
# Announcements list the server by its domain; this one is right for `docker run -p 127.0.0.1:7334:7334`.
ENV NGIT_BIND_ADDRESS=0.0.0.0:7334 NGIT_DOMAIN=127.0.0.1:7334
EXPOSE 7334
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["grasp-server", "healthcheck"]
# git leaves processes to whoever is the first one; tini buries them, and passes signals on.
ENTRYPOINT ["/usr/bin/tini", "--", "grasp-server"]

FROM system AS audit
LABEL org.opencontainers.image.title="grasp-audit" \
      org.opencontainers.image.description="Examines GRASP servers from outside" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=programs /grasp-audit /usr/bin/grasp-audit
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["/usr/bin/tini", "--", "grasp-audit"]
CMD ["--help"]
