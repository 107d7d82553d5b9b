package units_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/units"
)

// images has two images: one that says who it runs as, and one that does not.
type images struct{}

func (images) Image(_ context.Context, name string) (*guard.Image, error) {
	img := &guard.Image{Name: name}
	switch name {
	case "app":
		img.Config.Config.User = "1000"
	case "root":
	default:
		return nil, errors.New("nobody has it")
	}
	img.Config.Config.Entrypoint = []string{"/start"}
	return img, nil
}

// describe writes a subject: "name: uid 0 @3:1", and a line each for what else there is.
func describe(s *guard.Subject) []string {
	u := s.User
	head := fmt.Sprintf("%s: uid %s", s.Name, u.UID)
	switch {
	case u.Missing != "":
		head = s.Name + ": missing: " + u.Missing
	case u.Unknown != "":
		head += " (" + u.Unknown + ")"
	case u.From != "" && !strings.HasPrefix(u.From, "image "):
		head += " by " + u.From
	}
	if u.GroupSet {
		head += ", gid " + u.GID.String()
	}
	lines := []string{fmt.Sprintf("%s @%d:%d", head, u.Where.Line, u.Where.Column)}
	for _, g := range s.Grants {
		lines = append(lines, fmt.Sprintf("  %s %s @%d:%d", g.Kind, g.Value, g.Where.Line, g.Where.Column))
	}
	for _, v := range s.Variables {
		lines = append(lines, fmt.Sprintf("  %s=%s @%d:%d", v.Name, v.Value, v.Where.Line, v.Where.Column))
	}
	for _, p := range s.Ports {
		lines = append(lines, fmt.Sprintf("  port %d/%s @%d:%d", p.Number, p.Protocol, p.Where.Line, p.Where.Column))
	}
	return lines
}

func load(t *testing.T, path, in string) []*guard.Subject {
	t.Helper()
	src := guard.Source{Path: path, Data: []byte(in)}
	subjects, err := units.Load(t.Context(), src, guard.Env{Images: images{}})
	if err != nil {
		t.Fatal(err)
	}
	return subjects
}

func describeAll(subjects []*guard.Subject) []string {
	var lines []string
	for _, s := range subjects {
		lines = append(lines, describe(s)...)
	}
	return lines
}

type table map[string]struct {
	in   string
	want []string
}

func (tests table) run(t *testing.T, path string) {
	t.Helper()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, describeAll(load(t, path, tt.in))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestService(t *testing.T) {
	table{
		"no User=":     {"[Unit]\n[Service]\nExecStart=/bin/web\n", []string{"service web: uid 0 @2:1"}},
		"User=root":    {"[Service]\nUser=root\nExecStart=/bin/web\n", []string{"service web: uid 0 @2:6"}},
		"User=0":       {"[Service]\nUser = 0\nExecStart=/bin/web\n", []string{"service web: uid 0 @2:8"}},
		"User=%u":      {"[Service]\nUser=%u\nExecStart=/bin/web\n", []string{"service web: uid 0 @2:6"}},
		"a number":     {"[Service]\nUser=1000\nExecStart=/bin/web\n", []string{"service web: uid 1000 @2:6"}},
		"a name":       {"[Service]\nUser=www-data\nExecStart=/bin/web\n", []string{"service web: uid 1 to 2147483647 @2:6"}},
		"00":           {"[Service]\nUser=00\nExecStart=/bin/web\n", []string{`service web: missing: systemd refuses the user name "00" @2:6`}},
		"65535":        {"[Service]\nUser=65535\nExecStart=/bin/web\n", []string{`service web: missing: systemd refuses the user name "65535" @2:6`}},
		"user:group":   {"[Service]\nUser=a:b\nExecStart=/bin/web\n", []string{`service web: missing: systemd refuses the user name "a:b" @2:6`}},
		"a comment":    {"[Service]\nUser=root # no\nExecStart=/bin/web\n", []string{`service web: missing: systemd refuses the user name "root # no" @2:6`}},
		"a template":   {"[Service]\nUser=%i\nExecStart=/bin/web\n", []string{"service web: uid unknown (%i depends on what %i stands for) @2:6"}},
		"last wins":    {"[Service]\nUser=a\nUser=root\nExecStart=/bin/web\n", []string{"service web: uid 0 @3:6"}},
		"reset":        {"[Service]\nUser=a\nUser=\nExecStart=/bin/web\n", []string{"service web: uid 0 @1:1"}},
		"elsewhere":    {"[Install]\nUser=a\n[Service]\nuser=a\nExecStart=/bin/web\n", []string{"service web: uid 0 @3:1"}},
		"root's group": {"[Service]\nUser=a\nGroup=root\nExecStart=/bin/web\n", []string{"service web: uid 1 to 2147483647, gid 0 @2:6"}},
		"a group":      {"[Service]\nUser=a\nGroup=100\nExecStart=/bin/web\n", []string{"service web: uid 1 to 2147483647, gid 100 @2:6"}},
		"a bad group":  {"[Service]\nUser=a\nGroup=a/b\nExecStart=/bin/web\n", []string{`service web: missing: systemd refuses the group name "a/b" @3:7`}},
		"dynamic": {"[Service]\nDynamicUser=yes\nExecStart=/bin/web\n", []string{
			"service web: uid 61184 to 65519 @2:13", "  no-new-privs true @2:13",
		}},
		"dynamic, named": {"[Service]\nDynamicUser=true\nUser=web\nExecStart=/bin/web\n", []string{
			"service web: uid 61184 to 65519 @3:6", "  no-new-privs true @2:13",
		}},
		"dynamic, root": {"[Service]\nDynamicUser=1\nUser=root\nExecStart=/bin/web\n", []string{
			"service web: uid 0 @3:6", "  no-new-privs true @2:13",
		}},
		"not dynamic": {"[Service]\nDynamicUser=no\nExecStart=/bin/web\n", []string{"service web: uid 0 @1:1"}},
		"hardened": {"[Service]\nUser=a\nNoNewPrivileges=yes\nCapabilityBoundingSet=\nProtectSystem=strict\nPrivateUsers=yes\nExecStart=/bin/web\n", []string{
			"service web: uid 1 to 2147483647 @2:6", "  dropped ALL @4:23", "  no-new-privs true @3:17", "  dropped ALL @6:14", "  read-only true @5:15",
		}},
		"capabilities": {"[Service]\nUser=a\nAmbientCapabilities=CAP_NET_RAW cap_sys_admin\nCapabilityBoundingSet=CAP_NET_RAW\nCapabilityBoundingSet=CAP_SYS_ADMIN\nExecStart=/bin/web\n", []string{
			"service web: uid 1 to 2147483647 @2:6", "  capability NET_RAW @3:21", "  capability SYS_ADMIN @3:33", "  dropped ALL @4:23",
		}},
		"capabilities but": {"[Service]\nUser=a\nAmbientCapabilities=~CAP_NET_RAW\nCapabilityBoundingSet=~CAP_CHOWN CAP_KILL\nExecStart=/bin/web\n", []string{
			"service web: uid 1 to 2147483647 @2:6", "  capability ALL @3:21", "  dropped CHOWN @4:23", "  dropped KILL @4:23",
		}},
		"capabilities reset": {"[Service]\nUser=a\nAmbientCapabilities=CAP_NET_RAW\nAmbientCapabilities=\nExecStart=/bin/web\n", []string{
			"service web: uid 1 to 2147483647 @2:6",
		}},
		"escalation": {"[Service]\nUser=a\nNoNewPrivileges=false\nExecStart=/bin/web\n", []string{
			"service web: uid 1 to 2147483647 @2:6", "  escalation true @3:17",
		}},
		"docker's group": {"[Service]\nUser=ci\nSupplementaryGroups=audio docker\nExecStart=/bin/web\n", []string{
			"service web: uid 1 to 2147483647 @2:6", "  mount /var/run/docker.sock @3:27",
		}},
		"variables": {"[Service]\nUser=a\nEnvironment=\"A=b c\" D=e\nEnvironment=F=g\nExecStart=/bin/web\n", []string{
			"service web: uid 1 to 2147483647 @2:6", "  A=b c @3:13", "  D=e @3:21", "  F=g @4:13",
		}},
		"full privileges": {"[Service]\nUser=a\nExecStart=-+/bin/web --x\n", []string{
			"service web: uid 0 by the prefix -+ of ExecStart= @3:11",
		}},
		"elevated": {"[Service]\nUser=a\nExecStart=!/bin/web\n", []string{
			"service web: uid 0 by the prefix ! of ExecStart= @3:11",
		}},
		"ambient or elevated": {"[Service]\nUser=a\nExecStart=!!/bin/web\n", []string{"service web: uid 1 to 2147483647 @2:6"}},
		"prepared by root": {"[Service]\nUser=a\nExecStartPre=/bin/a\nExecStartPre=+/bin/b x\nExecStopPost=-!/bin/c\nExecStart=/bin/web\n", []string{
			"service web: uid 1 to 2147483647 @2:6",
			"service web, ExecStartPre b: uid 0 by the prefix + of ExecStartPre= @4:14",
			"service web, ExecStopPost c: uid 0 by the prefix -! of ExecStopPost= @5:14",
		}},
		"start only": {"[Service]\nUser=a\nPermissionsStartOnly=yes\nExecStartPre=/bin/a\nExecStart=/bin/web\n", []string{
			"service web: uid 1 to 2147483647 @2:6",
			"service web, ExecStartPre a: uid 0 by PermissionsStartOnly= @4:14",
		}},
		"several commands": {"[Service]\nUser=a\nType=oneshot\nExecStart=/bin/a ; +/bin/b\n", []string{
			"service web: uid 0 by the prefix + of ExecStart= @4:20",
		}},
		"no command":        {"[Service]\nType=dbus\nExecStart=\nExecStart=+\n", []string{"service web: uid 0 @1:1"}},
		"no service at all": {"[Unit]\nDescription=x\n", nil},
	}.run(t, "web.service")
}

func TestServiceRunsContainer(t *testing.T) {
	const head = "[Service]\nUser=a\nExecStart="
	const service = "service web: uid 1 to 2147483647 @2:6"
	table{
		"the image's user": {head + "/usr/bin/podman run --rm app\n", []string{service, "service web, container app: uid 1000 @3:36"}},
		"root's image":     {head + "docker run root serve\n", []string{service, "service web, container root: uid 0 @3:22"}},
		"-u": {head + "docker run -itu 0 --name n app\n", []string{
			service, "service web, container n: uid 0 @3:27",
		}},
		"--user=": {head + "docker run --user=0:0 app\n", []string{
			service, "service web, container app: uid 0, gid 0 @3:29",
		}},
		"privileged": {head + "docker --log-level debug container run --privileged -v /var/run/docker.sock:/s:ro -v data:/d --cap-add=ALL,NET_RAW \\\n  --pid host --net=host --security-opt seccomp=unconfined --device /dev/kmsg:/x app\n", []string{
			service, "service web, container app: uid 1000 @4:81",
			"  privileged true @3:50", "  mount-ro /var/run/docker.sock @3:66", "  capability ALL @3:114", "  capability NET_RAW @3:114",
			"  namespace pid @4:9", "  namespace network @4:20", "  unconfined seccomp @4:40", "  device /dev/kmsg @4:68",
		}},
		"more flags": {head + "podman run -d -eA=b --env C=d -p 127.0.0.1:80:8080/udp -p90 --mount type=bind,src=/etc,dst=/e,ro --mount=type=volume,src=x --read-only --privileged=false --cap-drop all --security-opt=no-new-privileges --sysctl a=b app\n", []string{
			service, "service web, container app: uid 1000 @3:226",
			"  mount-ro /etc @3:79", "  read-only true @3:134", "  dropped ALL @3:176", "  no-new-privs true @3:195", "  sysctl a=b @3:222",
			"  A=b @3:27", "  C=d @3:37", "  port 8080/udp @3:44", "  port 90/tcp @3:68",
		}},
		"variables": {"[Service]\nUser=a\nEnvironment=I=app O=\"-u 0\"\nExecStart=docker run $O ${I}\n", []string{
			"service web: uid 1 to 2147483647 @2:6", "  I=app @3:13", "  O=-u 0 @3:19", "service web, container app: uid 0 @4:22",
		}},
		"variables of a file": {"[Service]\nUser=a\nEnvironmentFile=x\nExecStart=docker run ${I}\n", []string{
			"service web: uid 1 to 2147483647 @2:6",
			"service web, container ${I}: uid unknown (image ${I} depends on a variable that is set elsewhere) @4:22",
		}},
		"a template": {head + "docker run app:%i\n", []string{
			service, "service web, container app:%i: uid unknown (image app:%i depends on what %i stands for) @3:22",
		}},
		"unknown image": {head + "docker run other\n", []string{
			service, "service web, container other: uid unknown (image other is not known: nobody has it) @3:22",
		}},
		"a shell's line": {head + "/bin/sh -c 'mkdir x; exec docker run --privileged root && true'\n", []string{
			service, "service web, container root: uid 0 @3:22", "  privileged true @3:22",
		}},
		"env":           {head + "/usr/bin/env A=b docker run root\n", []string{service, "service web, container root: uid 0 @3:39"}},
		"other command": {head + "docker start -a web\n", []string{service}},
		"no image":      {head + "docker run --rm -u 0\n", []string{service}},
		"keep-id of root": {head + "podman run --userns=keep-id root\n", []string{
			service, "service web, container root: uid 0 @3:39",
		}},
		"keep-id with a uid": {head + "podman run --userns=keep-id:uid=200,gid=210 root\n", []string{
			service, "service web, container root: uid 200 by keep-id, gid 210 @3:31",
		}},
	}.run(t, "web.service")
}

func TestUserServices(t *testing.T) {
	for _, path := range []string{"/etc/systemd/user/web.service", "/home/a/.config/systemd/user/web.service", "/usr/lib/systemd/user/web.service"} {
		got := describeAll(load(t, path, "[Service]\nExecStart=+/bin/web\nExecStartPre=+/bin/a\n"))
		want := []string{"service web: uid 1 to 2147483647 by the user's service manager @1:1"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	got := describeAll(load(t, "/home/a/.config/containers/systemd/web.container", "[Container]\nImage=root\nUserNS=keep-id\n"))
	if diff := cmp.Diff([]string{"container web: uid 1 to 2147483647 by keep-id @3:8"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestQuadlet(t *testing.T) {
	table{
		"the image's user":  {"[Container]\nImage=app\n", []string{"container web: uid 1000 @2:7"}},
		"root's image":      {"[Container]\nImage=root\n", []string{"container web: uid 0 @2:7"}},
		"unknown image":     {"[Container]\nImage=x\n", []string{"container web: uid unknown (image x is not known: nobody has it) @2:7"}},
		"User=":             {"[Container]\nImage=app\nUser=0\nContainerName=n\n", []string{"container n: uid 0 @3:6"}},
		"User= and Group=":  {"[Container]\nImage=root\nUser=1000\nGroup=0\n", []string{"container web: uid 1000, gid 0 @3:6"}},
		"Group= alone":      {"[Container]\nImage=root\nGroup=0\n", []string{"container web: missing: invalid Group set without User @3:7"}},
		"User=%i":           {"[Container]\nImage=root\nUser=%i\n", []string{"container web: uid unknown (%i depends on what %i stands for) @3:6"}},
		"an unknown image":  {"[Container]\nImage=x\nUser=1000\n", []string{"container web: uid 1000 @3:6"}},
		"no image":          {"[Container]\nExec=x\n", []string{"container web: uid unknown (it names no image) @1:1"}},
		"a directory":       {"[Container]\nRootfs=/srv/x\n", []string{"container web: uid unknown (it runs what is in /srv/x) @2:8"}},
		"a built image":     {"[Container]\nImage=x.build\n", []string{"container web: uid unknown (the image is built by x.build) @2:7"}},
		"an image's file":   {"[Container]\nImage=x.image\n", []string{"container web: uid unknown (x.image, which names the image, is not there) @2:7"}},
		"a template":        {"[Container]\nImage=app:%i\n", []string{"container web: uid unknown (image app:%i depends on what %i stands for) @2:7"}},
		"the host's user":   {"[Service]\nUser=root\n[Container]\nImage=app\n", []string{"container web: uid 1000 @4:7"}},
		"podman's argument": {"[Container]\nImage=app\nPodmanArgs=--user 0 --privileged\n", []string{"container web: uid 0 @3:19", "  privileged true @3:21"}},
		"capabilities": {"[Container]\nImage=app\nAddCapability=CAP_SYS_ADMIN net_raw\nDropCapability=all\n", []string{
			"container web: uid 1000 @2:7", "  capability SYS_ADMIN @3:15", "  capability NET_RAW @3:29", "  dropped ALL @4:16",
		}},
		"what is off": {"[Container]\nImage=app\nSecurityLabelDisable=true\nSeccompProfile=unconfined\nAppArmor=unconfined\nUnmask=ALL\n", []string{
			"container web: uid 1000 @2:7", "  unconfined label @3:22", "  unconfined seccomp @4:16", "  unconfined apparmor @5:10", "  unconfined systempaths @6:8",
		}},
		"what is on": {"[Container]\nImage=app\nSecurityLabelDisable=false\nSeccompProfile=/x.json\nNoNewPrivileges=true\nReadOnly=true\n", []string{
			"container web: uid 1000 @2:7", "  read-only true @6:10", "  no-new-privs true @5:17",
		}},
		"escalation": {"[Container]\nImage=app\nNoNewPrivileges=no\nReadOnly=no\n", []string{
			"container web: uid 1000 @2:7", "  escalation true @3:17",
		}},
		"volumes": {"[Container]\nImage=app\nVolume=/etc:/e:ro,Z\nVolume=%t/podman/podman.sock:/s\nVolume=data.volume:/d\nVolume=%h/.ssh:/k\nVolume=/anonymous\nMount=type=bind,source=./x,target=/x\n", []string{
			"container web: uid 1000 @2:7", "  mount-ro /etc @3:8", "  mount /run/podman/podman.sock @4:8", "  mount ~/.ssh @6:8", "  mount ./x @8:7",
		}},
		"devices and namespaces": {"[Container]\nImage=app\nAddDevice=-/dev/kvm:/dev/kvm:rw\nNetwork=host\nNetwork=x.network\nUserNS=host\nSysctl=a=1 b=2\n", []string{
			"container web: uid 1000 @2:7", "  sysctl a=1 @7:8", "  sysctl b=2 @7:12", "  device /dev/kvm @3:11", "  namespace network @4:9", "  namespace user @6:8",
		}},
		"variables and ports": {"[Container]\nImage=app\nEnvironment=A=b \"C=d e\"\nPublishPort=8080:80\nPublishPort=53-54:53-54/udp\nPublishPort=x\nExposeHostPort=443\n", []string{
			"container web: uid 1000 @2:7", "  A=b @3:13", "  C=d e @3:17", "  port 80/tcp @4:13", "  port 53/udp @5:13", "  port 443/tcp @7:16",
		}},
		"a list that is reset": {"[Container]\nImage=app\nVolume=/etc:/e\nVolume=\n", []string{"container web: uid 1000 @2:7"}},
		"a pod elsewhere":      {"[Container]\nImage=app\nPod=x.pod\n", []string{"container web: uid 1000 @2:7"}},
	}.run(t, "web.container")
	table{
		"a pod": {"[Pod]\nPodName=p\nNetwork=host\nPodmanArgs=--pid=host\n", []string{
			"pod p: uid 1 to 2147483647 by its containers @1:1", "  namespace network @3:9", "  namespace pid @4:18",
		}},
	}.run(t, "web.pod")
	table{
		"kube": {"[Kube]\nYaml=web.yaml\nPublishPort=80:80\n", []string{
			"kube web: uid 1 to 2147483647 by its manifest web.yaml @1:1", "  port 80/tcp @3:13",
		}},
		"bare": {"[Kube]\n", []string{"kube web: uid 1 to 2147483647 by its manifest @1:1"}},
	}.run(t, "web.kube")
}

func TestStandardInput(t *testing.T) {
	for in, want := range map[string]string{
		"[Service]\nExecStart=x\n":  "service stdin: uid 0 @1:1",
		"[Container]\nImage=root\n": "container stdin: uid 0 @2:7",
	} {
		if got := strings.Join(describeAll(load(t, "-", in)), "\n"); got != want {
			t.Errorf("%q is %s", in, got)
		}
	}
}

func TestCommands(t *testing.T) {
	tests := map[string]struct {
		path, in string
		want     guard.Command
	}{
		"service": {
			"a.service", "[Service]\nExecStart=-/bin/a 'b c' \\\n d\n",
			guard.Command{Args: []string{"/bin/a", "b c", "d"}, Where: guard.Location{Path: "a.service", Line: 2, Column: 12, EndLine: 3, EndColumn: 3}},
		},
		"another name": {
			"a.service", "[Service]\nExecStart=@/bin/a name b\n",
			guard.Command{Args: []string{"/bin/a", "b"}, Where: guard.Location{Path: "a.service", Line: 2, Column: 12, EndLine: 2, EndColumn: 25}},
		},
		"a shell": {
			"a.service", "[Service]\nExecStart=/bin/sh -c 'a b'\n",
			guard.Command{Args: []string{"/bin/sh", "-c", "a b"}, Shell: true, Where: guard.Location{Path: "a.service", Line: 2, Column: 11, EndLine: 2, EndColumn: 27}},
		},
		"quadlet": {
			"a.container", "[Container]\nImage=app\nExec=a \"b c\"\n",
			guard.Command{Args: []string{"/start", "a", "b c"}, Where: guard.Location{Path: "a.container", Line: 3, Column: 6, EndLine: 3, EndColumn: 13}},
		},
		"entrypoint": {
			"a.container", "[Container]\nImage=app\nEntrypoint=[\"/x\", \"y\"]\n",
			guard.Command{Args: []string{"/x", "y"}, Where: guard.Location{Path: "a.container", Line: 3, Column: 12, EndLine: 3, EndColumn: 23}},
		},
		"the image's": {
			"a.container", "[Container]\nImage=app\n",
			guard.Command{Args: []string{"/start"}, Where: guard.Location{Path: "a.container", Line: 2, Column: 7, EndLine: 2, EndColumn: 10}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, load(t, tt.path, tt.in)[0].Command); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDrop(t *testing.T) {
	s := load(t, "a.service", "[Service]\nExecStart=/sbin/runuser -u app -- /bin/web\n")[0]
	if s.Drop == nil || s.Drop.Spec != "app" || s.Drop.Where.Line != 2 || !s.User.Root() {
		t.Errorf("drop is %+v of user %+v", s.Drop, s.User)
	}
}

func TestSlots(t *testing.T) {
	tests := map[string]struct{ path, in, want string }{
		"replace":             {"a.service", "[Service]\nUser=root\n", "[Service]\nUser=9000\n"},
		"a new line":          {"a.service", "[Unit]\n[Service]\nType=x\n", "[Unit]\n[Service]\nUser=9000\nType=x\n"},
		"at the end":          {"a.service", "[Service]", "[Service]\nUser=9000"},
		"quadlet, replace":    {"a.container", "[Container]\nUser=root\nImage=x\n", "[Container]\nUser=9000\nImage=x\n"},
		"quadlet, a new line": {"a.container", "[Container]\nImage=x\n", "[Container]\nUser=9000\nImage=x\n"},
		"podman's argument":   {"a.container", "[Container]\nImage=x\nPodmanArgs=--user=root\n", "[Container]\nImage=x\nPodmanArgs=--user=9000\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := guard.Apply([]byte(tt.in), []guard.Edit{load(t, tt.path, tt.in)[0].UserSlot.Put("9000")})
			if err != nil || string(got) != tt.want {
				t.Errorf("the slot makes %q, %v; want %q", got, err, tt.want)
			}
		})
	}
	for in, want := range map[string]string{
		"docker run --rm root":       "docker run --user 9000 --rm root",
		"docker run -u0 root":        "docker run -u9000 root",
		"docker run --user root app": "docker run --user 9000 app",
	} {
		in, want = "[Service]\nExecStart="+in+"\n", "[Service]\nExecStart="+want+"\n"
		got, err := guard.Apply([]byte(in), []guard.Edit{load(t, "a.service", in)[1].UserSlot.Put("9000")})
		if err != nil || string(got) != want {
			t.Errorf("the slot makes %q, %v; want %q", got, err, want)
		}
	}
	for path, in := range map[string]string{
		"/etc/systemd/user/a.service": "[Service]\nUser=root\n", "a.service": "[Service]\nUser=a\nExecStart=+/x\n",
	} {
		if s := load(t, path, in)[0]; s.UserSlot != nil {
			t.Errorf("%q has the slot %+v", in, s.UserSlot)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	var syntax *guard.SyntaxError
	_, err := units.Load(t.Context(), guard.Source{Path: "a.service", Data: []byte("[Unit]\n[Service\n")}, guard.Env{})
	if !errors.As(err, &syntax) || syntax.Line != 2 {
		t.Errorf("a header without an end: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := units.Load(ctx, guard.Source{Path: "a.service", Data: []byte("[Service]\n")}, guard.Env{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	subjects, err := units.Load(t.Context(), guard.Source{Path: "a.container", Data: []byte("[Container]\nImage=x\n")}, guard.Env{})
	if err != nil || !strings.Contains(subjects[0].User.Unknown, "nobody looks for images") {
		t.Errorf("nobody looks for images: %+v, %v", subjects[0].User, err)
	}
}

func TestIs(t *testing.T) {
	tests := map[string]struct {
		name, in string
		want     bool
	}{
		"service":            {"a.service", "[Unit]\n[Service]\nUser=x\n", true},
		"a template":         {"a@.service", "[Service]", true},
		"with space":         {"a.service", "\ufeff  [Service] \r\n", true},
		"a bus's service":    {"a.service", "[D-BUS Service]\nUser=root\n", false},
		"avahi's service":    {"a.service", "<service-group>", false},
		"in a value":         {"a.service", "Description=[Service]\n", false},
		"only a unit":        {"a.service", "[Unit]\n", false},
		"container":          {"a.container", "[Container]\n", true},
		"no container":       {"a.container", "[Service]\n", false},
		"pod":                {"a.pod", "[Pod]\n", true},
		"Perl's words":       {"a.pod", "=head1 NAME\n", false},
		"kube":               {"a.kube", "# x\n[Kube]\n", true},
		"build":              {"a.build", "[Build]\n", false},
		"drop-in":            {"x.conf", "[Service]\nUser=x\n", true},
		"another conf":       {"x.conf", "[server]\n", false},
		"socket":             {"a.socket", "[Socket]\n[Service]\n", false},
		"another name":       {"service", "[Service]\n", false},
		"the second of both": {"a.service", "x[Service]\n[Service]\n", true},
	}
	for name, tt := range tests {
		if got := units.Is(tt.name, []byte(tt.in)); got != tt.want {
			t.Errorf("%s: Is = %v", name, got)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"[Service]\nUser=a\nExecStart=-+/bin/sh -c 'docker run -u0 --privileged x; y'\nEnvironment=A=b\n",
		"[Service]\nExecStart=podman run -v /a:/b --entrypoint '[\"a\"]' \\\n# c\n $A ${B} ; x\nExecStop=!x\n",
		"[Container]\nImage=x\nUser=0\nGroup=%i\nPodmanArgs=-itu \"0\" --mount type=bind,src=/,ro\nUserNS=keep-id:uid=1\n",
		"[Pod]\nNetwork=host\n", "[Kube]\nYaml=\\\n", "\ufeff[Service]\nUser=\\x\\\\",
	} {
		f.Add("a.service", seed)
	}
	f.Add("a.conf", "[Container]\nEntrypoint=[]\n")
	f.Fuzz(func(t *testing.T, path, in string) {
		units.Is(path, []byte(in))
		subjects, err := units.Load(t.Context(), guard.Source{Path: path, Data: []byte(in)}, guard.Env{Images: images{}})
		if err != nil {
			var syntax *guard.SyntaxError
			if !errors.As(err, &syntax) || syntax.Line < 1 {
				t.Fatal(err)
			}
			return
		}
		for _, s := range subjects {
			places := []guard.Location{s.Where, s.User.Where, s.ImageAt, s.Command.Where}
			for _, g := range s.Grants {
				places = append(places, g.Where)
			}
			for _, v := range s.Variables {
				places = append(places, v.Where)
			}
			for _, l := range places {
				if l == (guard.Location{}) {
					continue
				}
				_, start := guard.Offset([]byte(in), l.Line, max(l.Column, 1))
				_, end := guard.Offset([]byte(in), max(l.EndLine, l.Line), max(l.EndColumn, 1))
				if !start || !end || s.Name == "" {
					t.Fatalf("%s has a place outside: %+v", s.Name, l)
				}
			}
			if s.UserSlot == nil {
				continue
			}
			if _, err := guard.Apply([]byte(in), []guard.Edit{s.UserSlot.Put("9000")}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
