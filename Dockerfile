# mmload as a container, for docker-compose.yml. root, because only root's processes keep the capability that compose
# grants, and SGLang's processes are root's in its own images.
FROM python:3.11.14-slim-bookworm
COPY . /src
RUN pip install --no-cache-dir /src && rm -r /src
WORKDIR /runs
ENTRYPOINT ["mmload"]
