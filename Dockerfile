# The image of every role. Two stages: the first builds, the second holds what runs and nothing else.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/gridbeacon
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY gridbeacon gridbeacon
COPY detectors detectors
COPY forecasts forecasts
COPY streams streams
COPY sinks sinks
COPY dashboards dashboards
COPY web web
RUN /opt/gridbeacon/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[grafana]'
# Compiled once, here: the file system is read-only when it runs.
RUN cd / && PYTHONSAFEPATH=1 /opt/gridbeacon/bin/python -c 'import detectors, forecasts; detectors.warm_up(); forecasts.warm_up()'

FROM python:3.11-slim-bookworm
COPY --from=build /opt/gridbeacon /opt/gridbeacon
COPY deploy/entrypoint /usr/local/bin/entrypoint
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin gridbeacon
# PYTHONSAFEPATH: no file in the working directory takes the place of a module.
ENV PATH=/opt/gridbeacon/bin:$PATH PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    GRIDBEACON_READY_FILE=/tmp/ready
USER 10001:10001
WORKDIR /etc/gridbeacon
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 CMD ["test", "-e", "/tmp/ready"]
ENTRYPOINT ["/usr/local/bin/entrypoint", "gridbeacon"]
CMD ["--help"]
