package check_test

import (
	"testing"

	"github.com/deckhand-engine/deckhand/guard"
)

// TestTruthPodSecurity is about manifests as a namespace that enforces the standards sees them.
func TestTruthPodSecurity(t *testing.T) {
	truths{kind: guard.KindKubernetes, file: "web.yaml", cases: []truth{
		{"nothing said", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
`, "6:DH025"},
		{"everything said", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  securityContext:
    runAsNonRoot: true
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
      securityContext:
        allowPrivilegeEscalation: false
        capabilities: {drop: [ALL]}
`, ""},
		{"everything said, and the image is root", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  securityContext:
    runAsNonRoot: true
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: web
      image: debian:12
      securityContext:
        allowPrivilegeEscalation: false
        capabilities: {drop: [ALL]}
`, "6:DH027"},
		{"privileged", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  securityContext:
    runAsNonRoot: true
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
      securityContext:
        privileged: true
        capabilities: {drop: [ALL]}
`, "9:DH025 12:DH013 12:DH024"},
		{"a host port", `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  securityContext:
    runAsNonRoot: true
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: web
      image: gcr.io/distroless/static-debian12:nonroot
      ports:
        - containerPort: 8080
          hostPort: 8080
      securityContext:
        allowPrivilegeEscalation: false
        capabilities: {drop: [ALL]}
`, "13:DH024"},
	}}.run(t)
}
