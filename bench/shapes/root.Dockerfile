FROM @BASE@ AS builder
USER root
RUN apt-get update && apt-get install -y build-essential git && make -j4 -C /usr/src/app-@N@

FROM @BASE@
USER root
COPY --from=builder /usr/src/app/bin /usr/local/bin
RUN chmod 0755 /usr/local/bin/* && ldconfig
ENV API_TOKEN=changeme
CMD /usr/local/bin/app-@N@ --foreground
