# syntax=docker/dockerfile:1
# The bridge and what it runs with, both as they were tested: versions and hashes come from locks/.
FROM python:3.13-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY locks/build.txt locks/runtime.txt locks/
RUN python -m venv /opt/mongooseim-bridge \
 && /opt/mongooseim-bridge/bin/pip install --require-hashes --requirement locks/runtime.txt \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes --requirement locks/runtime.txt --requirement locks/build.txt
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY docs docs
COPY bridge bridge
RUN /opt/build/bin/python -m hatchling build --target wheel --directory /wheel \
 && /opt/mongooseim-bridge/bin/pip install --no-deps /wheel/*.whl \
 && /opt/mongooseim-bridge/bin/pip uninstall --yes pip

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="mongooseim-bridge" \
      org.opencontainers.image.description="Reports MongooseIM's system metrics to Google Analytics 4 from outside the cluster" \
      org.opencontainers.image.source="https://github.com/esl/mongooseim-bridge" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/mongooseim-bridge /opt/mongooseim-bridge
# The root may be read-only: these two are what is written, and a volume that begins as a copy of them can be written by
# the user below.
RUN install -d -o 65532 -g 65532 -m 0700 /var/lib/mongooseim-bridge \
 && install -d -o 65532 -g 65532 -m 0755 /var/log/mongooseim-bridge
ENV PATH=/opt/mongooseim-bridge/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    LOGS_DIRECTORY=/var/log/mongooseim-bridge \
    MONGOOSEIM_BRIDGE_HEALTH_PORT=9180
USER 65532:65532
VOLUME ["/var/lib/mongooseim-bridge", "/var/log/mongooseim-bridge"]
# Alive is whose loop comes round. Neither this nor the program needs a shell.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9180/healthz', timeout=4)"]
ENTRYPOINT ["mongooseim-bridge"]
CMD ["run"]
