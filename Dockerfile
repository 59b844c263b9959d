# The whole suite as one image; the arguments choose the server: docker run IMAGE scalelab-lb --listen 0.0.0.0:8000 ...
#
# BASE is any image with Python 3.11 or newer whose python3 has pip. A build without a network: put the wheels of
# requirements.lock into .wheels/ (pip download) and give --build-arg PIP_NO_INDEX=1.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ARG PIP_NO_INDEX
WORKDIR /build
COPY requirements.lock .wheel[s] ./
# the environment has no pip of its own, and only-binary means that no compiler is ever wanted
RUN python3 -m venv --without-pip /opt/scalelab \
    && python3 -m pip --python /opt/scalelab/bin/python install --no-cache-dir --disable-pip-version-check --no-compile --no-deps \
        --require-hashes --only-binary :all: --find-links . -r requirements.lock \
    && find /opt/scalelab/lib -type d \( -name test -o -name tests \) -prune -exec rm -r {} +
COPY scalability /opt/scalelab/src/scalability
COPY twisted /opt/scalelab/src/twisted
# compiled once here, so that a start does not wait for it; dropin.cache likewise, which the user below could not write
RUN cd /opt/scalelab && echo /opt/scalelab/src > "$(echo lib/python3*/site-packages)/scalelab.pth" \
    && bin/python -m compileall -q -j 0 . && bin/twistd --help > /dev/null && test -s src/twisted/plugins/dropin.cache

FROM ${BASE}
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/scalelab --shell /usr/sbin/nologin scalelab \
    && install -d -o scalelab -g scalelab -m 0750 /var/lib/scalelab
COPY --from=build /opt/scalelab /opt/scalelab
ENV PATH=/opt/scalelab/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER scalelab
WORKDIR /var/lib/scalelab
STOPSIGNAL SIGTERM
# exec form: twistd is process 1, gets the signal and ends with status 0 after its drain
ENTRYPOINT ["twistd", "-n"]
CMD ["--help"]
