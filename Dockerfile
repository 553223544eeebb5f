# syntax=docker/dockerfile:1
# The service on CPU: `docker build --target cpu -t monolayer:cpu .`; `--build-arg RUNTIME=openvino` adds OpenVINO.
ARG PYTHON=3.13-slim-bookworm

FROM python:${PYTHON} AS build
ARG RUNTIME=cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv --without-pip /opt/monolayer
# Dependencies first: these layers change only when the pinned sets do.
COPY requirements requirements
RUN python -m pip install --require-hashes --requirement requirements/build.txt \
    && python -m pip --python /opt/monolayer/bin/python install --require-hashes --requirement "requirements/service-${RUNTIME}.txt"
COPY core core
COPY service service
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir wheels ./core ./service \
    && python -m pip --python /opt/monolayer/bin/python install --no-deps --no-index wheels/*.whl

FROM python:${PYTHON} AS cpu
ENV PATH=/opt/monolayer/bin:$PATH \
    MONOLAYER_HOST=0.0.0.0 \
    MONOLAYER_PORT=8000 \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=build /opt/monolayer /opt/monolayer
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin monolayer
USER 10001
WORKDIR /
# The image proves while it is built that it holds all the service imports.
RUN python -c "import monolayer_service.app"
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-m", "monolayer_service.probe"]
ENTRYPOINT ["monolayer-serve"]
