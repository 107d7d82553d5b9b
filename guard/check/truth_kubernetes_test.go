package check_test

import (
	"testing"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/policy"
)

// TestTruthKubernetes is about manifests, Pod Security left out.
func TestTruthKubernetes(t *testing.T) {
	truths{kind: guard.KindKubernetes, file: "web.yaml", policy: policy.Policy{PodSecurity: "privileged"}, cases: []truth{
		{"no user, and the image sets none", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: web
      image: debian:12
`, "7:DH001"},
		{"no user, and the image has one", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
`, ""},
		{"no user, and the image is not known", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: web
      image: registry.example.com/corp/web:1
`, "7:DH026"},
		{"runAsUser of the pod", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  securityContext: {runAsUser: 1000, runAsGroup: 1000}
  containers:
    - name: web
      image: debian:12
`, ""},
		{"runAsUser 0 of the pod", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  securityContext:
    runAsUser: 0
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
`, "6:DH002"},
		{"the container goes before the pod", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  securityContext: {runAsUser: 0}
  containers:
    - name: web
      image: debian:12
      securityContext: {runAsUser: 1000, runAsGroup: 1000}
`, ""},
		{"gid 0 said", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  securityContext:
    runAsUser: 1000
    runAsGroup: 0
  containers:
    - name: web
      image: debian:12
`, "6:DH005"},
		{"gid 0 because there is no entry", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  securityContext:
    runAsUser: 1000
  containers:
    - name: web
      image: debian:12
`, "6:DH005"},
		{"a reserved uid", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  securityContext:
    runAsUser: 101
    runAsGroup: 101
  containers:
    - name: web
      image: debian:12
`, "6:DH006"},
		{"a named user of the image that nobody verifies", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: web
      image: registry.example.com/shop:1
`, ""},
		{"a named user of the image under runAsNonRoot", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  securityContext:
    runAsNonRoot: true
  containers:
    - name: web
      image: registry.example.com/shop:1
`, "6:DH027"},
		{"the same with runAsUser", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  securityContext:
    runAsNonRoot: true
    runAsUser: 1000
  containers:
    - name: web
      image: registry.example.com/shop:1
`, ""},
		{"no user under runAsNonRoot", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  securityContext:
    runAsNonRoot: true
  containers:
    - name: web
      image: debian:12
`, "6:DH027"},
		{"runAsUser 0 under runAsNonRoot", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
      securityContext:
        runAsNonRoot: true
        runAsUser: 0
`, "9:DH027"},
		{"a number of the image under runAsNonRoot", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  securityContext: {runAsNonRoot: true}
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
`, ""},
		{"an image that is not known under runAsNonRoot", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  securityContext: {runAsNonRoot: true}
  containers:
    - name: web
      image: registry.example.com/corp/web:1
`, ""},
		{"runAsNonRoot taken back by the container", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  securityContext: {runAsNonRoot: true}
  containers:
    - name: web
      image: debian:12
      securityContext: {runAsNonRoot: false}
`, "8:DH001"},
		{"the official script drops", `
apiVersion: v1
kind: Pod
metadata: {name: cache}
spec:
  containers:
    - name: cache
      image: redis:7
`, "7:DH009"},
		{"the official script replaced by command", `
apiVersion: v1
kind: Pod
metadata: {name: cache}
spec:
  containers:
    - name: cache
      image: redis:7
      command: [redis-server]
`, "7:DH001"},
		{"a Deployment", `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      containers:
        - name: web
          image: debian:12
`, "9:DH001"},
		{"a CronJob", `
apiVersion: batch/v1
kind: CronJob
metadata: {name: backup}
spec:
  schedule: "@daily"
  jobTemplate:
    spec:
      template:
        spec:
          containers:
            - name: backup
              image: debian:12
`, "12:DH001"},
		{"a List, and a stream", `
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Pod
    metadata: {name: a}
    spec:
      containers:
        - name: a
          image: debian:12
---
apiVersion: v1
kind: Pod
metadata: {name: b}
spec:
  containers:
    - name: b
      image: corp/root:1
`, "10:DH001 18:DH003"},
		{"init containers count", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  initContainers:
    - name: init
      image: debian:12
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
`, "7:DH001"},
		{"no workload", `
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  ports: [{port: 80}]
`, ""},
		{"privileged", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
      securityContext:
        privileged: true
`, "9:DH013"},
		{"capabilities", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
      securityContext:
        capabilities:
          add: [NET_ADMIN]
          drop: [ALL]
`, "10:DH014"},
		{"allowPrivilegeEscalation", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
      securityContext:
        allowPrivilegeEscalation: true
`, "9:DH016"},
		{"host namespaces", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  hostPID: true
  hostIPC: true
  hostNetwork: true
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
`, "5:DH015 6:DH015 7:DH015"},
		{"host namespaces of a pod with two containers are told of each, and shown once", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  hostPID: true
  containers:
    - name: a
      image: gcr.io/distroless/static-debian12:nonroot
    - name: b
      image: gcr.io/distroless/static-debian12:nonroot
`, "5:DH015"},
		{"unconfined", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  securityContext:
    seccompProfile: {type: Unconfined}
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
`, "6:DH017"},
		{"docker.sock", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
      volumeMounts: [{name: sock, mountPath: /docker.sock, readOnly: true}]
  volumes:
    - name: sock
      hostPath: {path: /var/run/docker.sock}
`, "11:DH012"},
		{"host path", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
      volumeMounts: [{name: root, mountPath: /host}]
  volumes:
    - name: root
      hostPath: {path: /}
`, "11:DH028"},
		{"a host path that nobody mounts, and volumes that are none", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
      volumeMounts: [{name: tmp, mountPath: /tmp}]
  volumes:
    - name: tmp
      emptyDir: {}
    - name: root
      hostPath: {path: /}
`, ""},
		{"a low port", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
      ports: [{containerPort: 80}]
`, "8:DH022"},
		{"a low port with the sysctl", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  securityContext:
    sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: "0"}]
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
      ports: [{containerPort: 80}]
`, ""},
		{"a password, and a reference to one", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
      env:
        - name: DB_PASSWORD
          value: correct-horse
        - name: API_TOKEN
          valueFrom: {secretKeyRef: {name: a, key: b}}
`, "10:DH019"},
		{"JSON", `
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
 "spec": {"containers": [
   {"name": "web", "image": "debian:12"}
 ]}}
`, "3:DH001"},
		{"a pod for Windows", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  os: {name: windows}
  containers:
    - name: web
      image: mcr.microsoft.com/windows/nanoserver:ltsc2025
`, ""},
		{"waived above the line", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: web
      # deckhand:ignore=DH001 replaced by an admission webhook
      image: debian:12
`, ""},
	}}.run(t)
}
