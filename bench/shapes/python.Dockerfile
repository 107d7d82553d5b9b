FROM @BASE@
ARG DEBIAN_FRONTEND=noninteractive
RUN set -eux; \
    groupadd --gid 1001 app; \
    useradd --uid 1001 --gid app --create-home --shell /usr/sbin/nologin app; \
    mkdir -p /opt/app/logs; \
    chown -R app:app /opt/app/logs
COPY requirements.txt /opt/app/
RUN pip install --no-cache-dir -r /opt/app/requirements.txt
COPY src/ /opt/app/src/
ENV PYTHONUNBUFFERED=1 DATABASE_URL=postgres://db-@N@/app
WORKDIR /opt/app
USER app
EXPOSE 8000/tcp
ENTRYPOINT ["gunicorn"]
CMD ["--bind", "0.0.0.0:8000", "src.main:app"]
