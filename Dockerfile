# seglab on Debian 12. Build it in this folder, and give it the current folder as /work:
#
#   docker build -t seglab .
#   docker run --rm -v "$PWD":/work seglab classify mail.pcapng
#   docker run --rm seglab regress paper --sessions sample
#
# That much needs no privileges. Sessions run in namespaces, which a container may make only with
# these rights; they are nearly those of root on the host:
#
#   docker run --rm --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt apparmor=unconfined \
#       -v "$PWD":/work seglab reproduce
#
# docs/install.md says what each is for, and what of this was tried.

FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc python3-dev python3-venv
COPY . /src
RUN python3 -m venv /opt/seglab && /opt/seglab/bin/pip install --no-cache-dir /src

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
      ethtool iproute2 mininet mount net-tools nftables python3 util-linux \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/seglab /opt/seglab
ENV PATH=/opt/seglab/bin:$PATH
WORKDIR /work
ENTRYPOINT ["seglab"]
CMD ["--help"]
