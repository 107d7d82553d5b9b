package check_test

import (
	"testing"

	"github.com/deckhand-engine/deckhand/guard"
)

// TestTruthQuadlet is about podman's units.
func TestTruthQuadlet(t *testing.T) {
	truths{kind: guard.KindQuadlet, file: "web.container", cases: []truth{
		{"no User=, and the image sets none", `
[Container]
Image=docker.io/library/debian:12
`, "2:DH001"},
		{"no User=, and the image has one", `
[Container]
Image=gcr.io/distroless/static-debian12:nonroot
`, ""},
		{"User= and Group=", `
[Container]
Image=docker.io/library/debian:12
User=1000
Group=1000
`, ""},
		{"root by number", `
[Container]
Image=gcr.io/distroless/static-debian12:nonroot
User=0
`, "3:DH002"},
		{"root by name", `
[Container]
Image=gcr.io/distroless/static-debian12:nonroot
User=root
`, "3:DH003"},
		{"the image is not known", `
[Container]
Image=registry.example.com/corp/web:1
`, "2:DH026"},
		{"the socket", `
[Container]
Image=gcr.io/distroless/static-debian12:nonroot
Volume=/run/podman/podman.sock:/var/run/docker.sock
`, "3:DH012"},
		{"the user's socket", `
[Container]
Image=gcr.io/distroless/static-debian12:nonroot
Volume=%t/podman/podman.sock:/var/run/docker.sock
`, "3:DH012"},
		{"capabilities, network, label, devices", `
[Container]
Image=gcr.io/distroless/static-debian12:nonroot
AddCapability=CAP_SYS_ADMIN
Network=host
SecurityLabelDisable=true
AddDevice=/dev/kvm
SeccompProfile=unconfined
`, "3:DH014 4:DH015 5:DH017 6:DH029 7:DH017"},
		{"podman's own arguments", `
[Container]
Image=gcr.io/distroless/static-debian12:nonroot
PodmanArgs=--privileged
`, "3:DH013"},
		{"a low port", `
[Container]
Image=gcr.io/distroless/static-debian12:nonroot
PublishPort=8080:80
`, "3:DH022"},
		{"a low port with the sysctl", `
[Container]
Image=gcr.io/distroless/static-debian12:nonroot
PublishPort=8080:80
Sysctl=net.ipv4.ip_unprivileged_port_start=0
`, ""},
		{"no new privileges", `
[Container]
Image=gcr.io/distroless/static-debian12:nonroot
NoNewPrivileges=true
ReadOnly=true
DropCapability=all
`, ""},
		{"a password", `
[Container]
Image=gcr.io/distroless/static-debian12:nonroot
Environment=DB_PASSWORD=correct-horse MODE=fast
`, "3:DH019"},
		{"a host path", `
[Container]
Image=gcr.io/distroless/static-debian12:nonroot
Volume=/etc:/host-etc:ro
Volume=data:/data
`, "3:DH028"},
		{"waived", `
[Container]
# deckhand:ignore=DH001 the image is root inside a user namespace of its own
Image=docker.io/library/debian:12
`, ""},
	}}.run(t)
}

// TestTruthUnit is about services of systemd.
func TestTruthUnit(t *testing.T) {
	truths{kind: guard.KindUnit, file: "web.service", cases: []truth{
		{"no User=", `
[Service]
ExecStart=/usr/bin/server
`, "1:DH001"},
		{"User=root", `
[Service]
User=root
ExecStart=/usr/bin/server
`, "2:DH003"},
		{"User=0", `
[Service]
User=0
ExecStart=/usr/bin/server
`, "2:DH002"},
		{"a user", `
[Service]
User=postgres
ExecStart=/usr/bin/server
`, ""},
		{"DynamicUser=", `
[Service]
DynamicUser=yes
ExecStart=/usr/bin/server
`, ""},
		{"the last User= counts", `
[Service]
User=postgres
User=root
ExecStart=/usr/bin/server
`, "3:DH003"},
	}}.run(t)
}
