FROM alpine:3.22
# The service number @N@ starts as root and gives it up.
RUN addgroup -S web && adduser -S -G web -h /var/lib/web web \
 && apk add --no-cache nginx su-exec curl
COPY --chmod=755 entrypoint.sh /entrypoint.sh
COPY <<EOF /etc/nginx/http.d/default.conf
server {
  listen 8080;
  root /var/lib/web/@N@;
}
EOF
EXPOSE 80 443
ENTRYPOINT ["su-exec", "web", "/entrypoint.sh"]
CMD ["nginx", "-g", "daemon off;"]
