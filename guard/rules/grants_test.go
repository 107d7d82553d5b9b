package rules_test

import (
	"testing"

	"github.com/deckhand-engine/deckhand/guard"
)

// granted is a subject of an unprivileged user with a grant.
func granted(kind guard.Kind, grants ...guard.Grant) *guard.Subject {
	s := subject(kind, nobody)
	for i, g := range grants {
		g.Where = line(10 + i)
		s.Grants = append(s.Grants, g)
	}
	return s
}

func service(kind guard.GrantKind, value string) *guard.Subject {
	return granted(guard.KindCompose, guard.Grant{Kind: kind, Value: value})
}

func asRoot(s *guard.Subject) *guard.Subject {
	s.User = guard.User{Where: line(9)}
	return s
}

func TestGrants(t *testing.T) {
	cases{
		"privileged":               {service(guard.GrantPrivileged, "true"), "DH013 error", "every capability"},
		"ALL":                      {service(guard.GrantCapability, "ALL"), "DH014 error", "everything that root"},
		"SYS_ADMIN":                {service(guard.GrantCapability, "SYS_ADMIN"), "DH014 error", "mount"},
		"spelt CAP_sys_admin":      {service(guard.GrantCapability, "CAP_sys_admin"), "DH014 error", "SYS_ADMIN"},
		"NET_ADMIN":                {service(guard.GrantCapability, "NET_ADMIN"), "DH014 error", ""},
		"NET_RAW":                  {service(guard.GrantCapability, "NET_RAW"), "DH014 warning", "forge packets"},
		"no such capability":       {service(guard.GrantCapability, "NO_SUCH"), "DH014 warning", "NO_SUCH"},
		"NET_BIND_SERVICE":         {service(guard.GrantCapability, "NET_BIND_SERVICE"), "DH014 info", ""},
		"CHOWN for a user":         {service(guard.GrantCapability, "CHOWN"), "DH014 warning", "root only"},
		"CHOWN for root":           {asRoot(service(guard.GrantCapability, "CHOWN")), "DH001 error, DH014 info", "unless it is dropped"},
		"dropped ones":             {service(guard.GrantDropped, "ALL"), "", ""},
		"pid":                      {service(guard.GrantNamespace, "pid"), "DH015 error", "every process"},
		"network":                  {service(guard.GrantNamespace, "network"), "DH015 warning", "loopback"},
		"ipc":                      {service(guard.GrantNamespace, "ipc"), "DH015 warning", ""},
		"uts":                      {service(guard.GrantNamespace, "uts"), "DH015 warning", ""},
		"user":                     {service(guard.GrantNamespace, "user"), "DH015 warning", ""},
		"cgroup":                   {service(guard.GrantNamespace, "cgroup"), "DH015 warning", ""},
		"escalation, kubernetes":   {granted(guard.KindKubernetes, guard.Grant{Kind: guard.GrantEscalation, Value: "true"}), "DH016 warning", "allowPrivilegeEscalation"},
		"escalation, compose":      {service(guard.GrantEscalation, "true"), "DH016 warning", "no_new_privs"},
		"no escalation, read-only": {granted(guard.KindCompose, guard.Grant{Kind: guard.GrantNoEscalation, Value: "true"}, guard.Grant{Kind: guard.GrantReadOnlyRoot}), "", ""},
		"seccomp":                  {service(guard.GrantUnconfined, "seccomp"), "DH017 error", "system calls"},
		"apparmor":                 {service(guard.GrantUnconfined, "apparmor"), "DH017 error", "AppArmor"},
		"label":                    {service(guard.GrantUnconfined, "label"), "DH017 error", "SELinux"},
		"systempaths":              {service(guard.GrantUnconfined, "systempaths"), "DH017 error", "masked paths"},
		"kmsg":                     {service(guard.GrantDevice, "/dev/kmsg"), "DH029 warning", "/dev/kmsg"},
		"disk":                     {service(guard.GrantDevice, "/dev/sda1"), "DH029 error", "disk"},
		"memory":                   {service(guard.GrantDevice, "/dev/mem"), "DH029 error", "memory"},
		"all devices":              {service(guard.GrantDevice, "all"), "DH029 error", ""},
		"sound":                    {service(guard.GrantDevice, "/dev/snd"), "DH029 warning", ""},
		"null":                     {service(guard.GrantDevice, "/dev/null"), "", ""},
		"violation of baseline": {with(granted(guard.KindKubernetes), func(s *guard.Subject) {
			s.Violations = []guard.Violation{{Level: "baseline", Reason: "hostPath volumes", Detail: `volume "x"`, Where: line(4)}}
		}), "DH024 error", `hostPath volumes (volume "x")`},
		"violations of restricted": {with(granted(guard.KindKubernetes), func(s *guard.Subject) {
			s.Violations = []guard.Violation{{Level: "restricted", Reason: "a"}, {Level: "restricted", Reason: "b"}}
		}), "DH025 warning, DH025 warning", "forbids this: b"},
		"several grants, their own": {granted(guard.KindCompose, guard.Grant{Kind: guard.GrantPrivileged}, guard.Grant{Kind: guard.GrantNamespace, Value: "pid"}), "DH013 error, DH015 error", ""},
	}.run(t)
}

func TestHostPaths(t *testing.T) {
	cases{
		"docker.sock":           {service(guard.GrantMount, "/var/run/docker.sock"), "DH012 error", "root on the host"},
		"docker.sock, ro":       {service(guard.GrantReadOnlyMount, "/run/docker.sock"), "DH012 error", "read-only makes no difference"},
		"podman.sock":           {service(guard.GrantMount, "/run/podman/podman.sock"), "DH012 error", ""},
		"containerd.sock":       {service(guard.GrantMount, "/run/containerd/containerd.sock"), "DH012 error", ""},
		"k3s' containerd":       {service(guard.GrantMount, "/run/k3s/containerd/containerd.sock"), "DH012 error", ""},
		"crio.sock":             {service(guard.GrantMount, "/var/run/crio/crio.sock"), "DH012 error", ""},
		"rootless":              {service(guard.GrantMount, "/run/user/1000/docker.sock"), "DH012 error", "engine's owner"},
		"rootless, by variable": {service(guard.GrantMount, "${XDG_RUNTIME_DIR}/podman/podman.sock"), "DH012 error", ""},
		"a directory of it":     {service(guard.GrantMount, "/var/run"), "DH012 error", ""},
		"/run/docker":           {service(guard.GrantMount, "/run/docker/"), "DH012 error", ""},
		"a user's runtime":      {service(guard.GrantMount, "/run/user/1000"), "DH012 error", ""},
		"a pipe of Windows":     {service(guard.GrantMount, `\\.\pipe\docker_engine`), "DH012 error", ""},
		"another socket":        {service(guard.GrantMount, "/run/postgresql/.s.PGSQL.5432"), "", ""},
		"a bus":                 {service(guard.GrantMount, "/run/user/1000/bus"), "", ""},

		"/":                   {service(guard.GrantMount, "/"), "DH028 error", ""},
		"/, ro":               {service(guard.GrantReadOnlyMount, "/"), "DH028 warning", "read-only"},
		"/etc":                {service(guard.GrantMount, "/etc"), "DH028 error", "accounts"},
		"/etc/shadow, ro":     {service(guard.GrantReadOnlyMount, "/etc/shadow"), "DH028 warning", ""},
		"/etc/passwd":         {service(guard.GrantMount, "/etc/passwd"), "DH028 error", ""},
		"/etc/passwd, ro":     {service(guard.GrantReadOnlyMount, "/etc/passwd"), "", ""},
		"/etc/localtime":      {service(guard.GrantMount, "/etc/localtime"), "DH028 warning", "only needs to be read"},
		"/etc/localtime, ro":  {service(guard.GrantReadOnlyMount, "/etc/localtime"), "", ""},
		"certificates, ro":    {service(guard.GrantReadOnlyMount, "/etc/ssl/certs/ca.pem"), "", ""},
		"/proc, ro":           {service(guard.GrantReadOnlyMount, "/proc"), "DH028 warning", ""},
		"/sys/fs/cgroup":      {service(guard.GrantMount, "/sys/fs/cgroup"), "DH028 error", ""},
		"/usr, ro":            {service(guard.GrantReadOnlyMount, "/usr/share/zoneinfo"), "", ""},
		"/usr/local/bin":      {service(guard.GrantMount, "/usr/local/bin"), "DH028 error", "can be replaced"},
		"/lib/modules, ro":    {service(guard.GrantReadOnlyMount, "/lib/modules"), "", ""},
		"/root":               {service(guard.GrantMount, "/root/x"), "DH028 error", ""},
		"/home":               {service(guard.GrantMount, "/home"), "DH028 error", ""},
		"a home directory":    {service(guard.GrantMount, "/home/ann"), "DH028 error", ""},
		"a project at home":   {service(guard.GrantMount, "/home/ann/src/app"), "", ""},
		"keys at home":        {service(guard.GrantReadOnlyMount, "/home/ann/.ssh"), "DH028 warning", "keys that open"},
		"~/.aws":              {service(guard.GrantMount, "~/.aws/credentials"), "DH028 error", ""},
		"/var/lib/docker":     {service(guard.GrantMount, "/var/lib/docker/containers"), "DH028 error", "all containers"},
		"/var/lib/kubelet":    {service(guard.GrantMount, "/var/lib/kubelet"), "DH028 error", ""},
		"/dev":                {service(guard.GrantMount, "/dev"), "DH028 error", ""},
		"/dev/shm":            {service(guard.GrantMount, "/dev/shm"), "", ""},
		"data":                {service(guard.GrantMount, "/srv/data"), "", ""},
		"a name that is near": {service(guard.GrantMount, "/etcetera"), "", ""},
	}.run(t)
}

func TestPorts(t *testing.T) {
	listening := func(s *guard.Subject, ports ...int) *guard.Subject {
		for _, p := range ports {
			s.Ports = append(s.Ports, guard.Port{Number: p, Protocol: "tcp", Where: line(7)})
		}
		return s
	}
	host := guard.Grant{Kind: guard.GrantNamespace, Value: "network"}
	sysctl := guard.Grant{Kind: guard.GrantSysctl, Value: "net.ipv4.ip_unprivileged_port_start=443"}
	bind := guard.Grant{Kind: guard.GrantCapability, Value: "NET_BIND_SERVICE"}
	cases{
		"Dockerfile":              {listening(subject(guard.KindDockerfile, nobody), 80, 443, 8080, 80), "DH022 info", "listens on 80, 443 as uid 1000"},
		"image":                   {listening(subject(guard.KindImage, nobody), 80), "DH022 info", ""},
		"high port":               {listening(subject(guard.KindDockerfile, nobody), 8080, 1024), "", ""},
		"root":                    {listening(asRoot(subject(guard.KindDockerfile, nobody)), 80), "DH001 error", ""},
		"unknown user":            {listening(subject(guard.KindDockerfile, unknown("", "offline")), 80), "DH026 warning", ""},
		"compose":                 {listening(subject(guard.KindCompose, nobody), 80), "", ""},
		"compose, host's network": {listening(granted(guard.KindCompose, host), 80), "DH022 warning, DH015 warning", ""},
		"kubernetes":              {listening(subject(guard.KindKubernetes, nobody), 80), "DH022 warning", ""},
		"kubernetes, sysctl":      {listening(granted(guard.KindKubernetes, sysctl), 443), "", ""},
		"kubernetes, below it":    {listening(granted(guard.KindKubernetes, sysctl), 443, 80), "DH022 warning", "listens on 80 as"},
		"kubernetes, capability":  {listening(granted(guard.KindKubernetes, bind), 80), "DH014 info", ""},
		"quadlet":                 {listening(subject(guard.KindQuadlet, nobody), 80), "DH022 warning", "podman"},
	}.run(t)
}
