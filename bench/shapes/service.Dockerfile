FROM debian:12
LABEL org.opencontainers.image.title="service @N@"
ENV LANG=C.UTF-8 SERVICE_HOME=/srv/service-@N@
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      ca-certificates \
      redis-server \
      tzdata \
 && rm -rf /var/lib/apt/lists/*
COPY redis.conf /etc/redis/redis.conf
EXPOSE 6379
VOLUME ["/data"]
WORKDIR /data
CMD ["redis-server", "/etc/redis/redis.conf"]
