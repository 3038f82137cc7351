# docker build -t dstwist . && docker run -p 6020:6020 -v dstwist:/var/lib/dstwist dstwist
# A configuration of your own: -v ./conf:/etc/dstwist:ro. As shipped it listens on localhost only, hence --host below.

FROM debian:trixie-slim AS build
# Versions are those of the release of Debian: older ones disappear from it.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements requirements
RUN python3 -m venv /opt/dstwist \
    && /opt/dstwist/bin/pip install --no-cache-dir --require-hashes -r requirements/build.txt -r requirements/run.txt
COPY . .
RUN /opt/dstwist/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/dstwist/bin/twistd --help > /dev/null

FROM debian:trixie-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 620 --user-group --home-dir /var/lib/dstwist --create-home --shell /usr/sbin/nologin dstwist
COPY --from=build /opt/dstwist /opt/dstwist
COPY etc/dstwist /etc/dstwist
# By number, so that an orchestrator can see that it is not root.
USER 620
VOLUME /var/lib/dstwist
EXPOSE 6020
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["/opt/dstwist/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:6020/ready', timeout=2)"]
ENTRYPOINT ["/opt/dstwist/bin/dstwist", "start"]
CMD ["--config", "/etc/dstwist/config.yml", "--data-dir", "/var/lib/dstwist", "--host", "0.0.0.0"]
