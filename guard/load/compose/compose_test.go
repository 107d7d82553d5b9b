package compose_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/compose"
)

// at is a place with its text, the first line of it.
func at(source string, l guard.Location) string {
	if l.Column == 0 {
		return fmt.Sprintf("line %d", l.Line)
	}
	start, ok := guard.Offset([]byte(source), l.Line, l.Column)
	end, okEnd := guard.Offset([]byte(source), l.EndLine, l.EndColumn)
	if !ok || !okEnd || end < start {
		return fmt.Sprintf("%+v is no range", l)
	}
	text, _, more := strings.Cut(source[start:end], "\n")
	if more {
		text += "…"
	}
	return fmt.Sprintf("%d:%d %s", l.Line, l.Column, text)
}

// describe writes what is known of a subject, with places.
func describe(source string, s *guard.Subject) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s)\n", s.Name, at(source, s.Where))
	if s.User.Spec != "" || s.User.Unknown != notLooked {
		fmt.Fprintf(&b, "  user %q %s:%s (%s)", s.User.Spec, s.User.UID, s.User.GID, at(source, s.User.Where))
		if s.User.Raw != "" {
			fmt.Fprintf(&b, " written %s", s.User.Raw)
		}
		if s.User.From != "" {
			fmt.Fprintf(&b, " from %s", s.User.From)
		}
		if s.User.Unknown != "" {
			fmt.Fprintf(&b, " %s", s.User.Unknown)
		}
		b.WriteString("\n")
	}
	if s.Command.Args != nil {
		fmt.Fprintf(&b, "  command %q (%s)\n", s.Command.Args, at(source, s.Command.Where))
	}
	for _, p := range s.Ports {
		fmt.Fprintf(&b, "  port %d/%s (%s)\n", p.Number, p.Protocol, at(source, p.Where))
	}
	for _, v := range s.Variables {
		fmt.Fprintf(&b, "  variable %s=%s arg=%v (%s)\n", v.Name, v.Value, v.Arg, at(source, v.Where))
	}
	for _, g := range s.Grants {
		fmt.Fprintf(&b, "  %s %s (%s)\n", g.Kind, g.Value, at(source, g.Where))
	}
	return b.String()
}

const notLooked = "image a is not known: nobody looks for images"

// project writes files, and is the source of compose.yaml.
func project(t testing.TB, files map[string]string) guard.Source {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return guard.Source{Path: "compose.yaml", File: filepath.Join(dir, "compose.yaml"), Data: []byte(files["compose.yaml"])}
}

// load describes the subjects of a project; DIR stands for its directory.
func load(t *testing.T, src guard.Source, env guard.Env) string {
	t.Helper()
	subjects, err := compose.Load(t.Context(), src, env)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, s := range subjects {
		b.WriteString(describe(string(src.Data), s))
	}
	if src.File == "" {
		return b.String()
	}
	return strings.ReplaceAll(b.String(), filepath.Dir(src.File), "DIR")
}

// service is a file with one service of the image a.
func service(fields string) string { return "services:\n  web:\n    image: a\n" + fields }

func TestServices(t *testing.T) {
	const web = "service web (2:3 web)\n"
	tests := map[string]struct{ source, want string }{
		"nothing said":      {service(""), web},
		"user":              {service("    user: \"0:0\"\n"), web + "  user \"0:0\" 0:0 (4:11 \"0:0\")\n"},
		"user by number":    {service("    user: '1000'\n"), web + "  user \"1000\" 1000:unknown (4:11 '1000')\n"},
		"default":           {service("    user: ${U:-12}:${G:-34}\n"), web + "  user \"12:34\" 12:34 (4:11 ${U:-12}:${G:-34}) written ${U:-12}:${G:-34}\n"},
		"unset variable":    {service("    user: ${U}:${G}\n"), web + "  user \":\" unknown:unknown (4:11 ${U}:${G}) written ${U}:${G} it hangs on G and U, which no .env file beside it sets\n"},
		"required variable": {service("    user: ${U:?who}:7\n"), web + "  user \":7\" unknown:unknown (4:11 ${U:?who}:7) written ${U:?who}:7 it hangs on U, which no .env file beside it sets\n"},
		"no image":          {"services:\n  web:\n    environment: {}\n", web + "  user \"\" unknown:unknown (line 2) the service names no image: it adds to one of another file\n"},
		"command": {
			service("    command: gosu app \"a b\"\n"), web + "  command [\"gosu\" \"app\" \"a b\"] (4:14 gosu app \"a b\")\n",
		},
		"entrypoint": {
			service("    entrypoint: [/e, x]\n    command:\n    - z\n"), web + "  command [\"/e\" \"x\" \"z\"] (4:17 [/e, x])\n",
		},
		"grants": {service(`    privileged: true
    cap_add: [NET_ADMIN, cap_sys_admin]
    cap_drop:
      - ALL
    pid: host
    ipc: host
    uts: "host"
    userns_mode: host
    network_mode: host
    cgroup: host
    read_only: true
`), web + `  privileged true (4:17 true)
  capability NET_ADMIN (5:15 NET_ADMIN)
  capability SYS_ADMIN (5:26 cap_sys_admin)
  dropped ALL (7:9 ALL)
  namespace pid (8:10 host)
  namespace ipc (9:10 host)
  namespace uts (10:10 "host")
  namespace user (11:18 host)
  namespace network (12:19 host)
  namespace cgroup (13:13 host)
  read-only true (14:16 true)
`},
		"nothing of the host": {service("    pid: service:db\n    ipc: shareable\n    network_mode: none\n    privileged: false\n    read_only: false\n"), web},
		"security options": {service(`    security_opt:
      - no-new-privileges:true
      - "seccomp=unconfined"
      - apparmor:unconfined
      - label=disable
      - systempaths=unconfined
      - seccomp:profile.json
      - no-new-privileges=false
      - no-new-privileges
`), web + `  no-new-privs true (5:9 no-new-privileges:true)
  unconfined seccomp (6:9 "seccomp=unconfined")
  unconfined apparmor (7:9 apparmor:unconfined)
  unconfined label (8:9 label=disable)
  unconfined systempaths (9:9 systempaths=unconfined)
  escalation true (11:9 no-new-privileges=false)
  no-new-privs true (12:9 no-new-privileges)
`},
		"volumes": {service(`    volumes:
      - /var/run/docker.sock:/var/run/docker.sock:ro
      - ./data:/data
      - ~/.ssh:/root/.ssh
      - named:/n
      - /anonymous
      - type: bind
        source: /etc
        target: /host/etc
        read_only: true
      - type: bind
        source: ../up
        target: /up/
      - {type: tmpfs, target: /t}
      - bound:/b
volumes:
  named:
  bound:
    driver_opts: {type: none, o: "bind,ro", device: /srv}
`), web + `  mount-ro /var/run/docker.sock (5:9 /var/run/docker.sock:/var/run/docker.sock:ro)
  mount ./data (6:9 ./data:/data)
  mount ~/.ssh (7:9 ~/.ssh:/root/.ssh)
  mount-ro /etc (11:17 /etc)
  mount ../up (15:17 ../up)
  mount /srv (18:9 bound:/b)
`},
		"devices and sysctls": {service(`    devices:
      - /dev/kmsg:/dev/kmsg:r
      - source: /dev/mem
        target: /dev/mem
      - vendor.example/gpu=all
    device_cgroup_rules: ["c 1:3 r", "a *:* rwm"]
    sysctls:
      net.core.somaxconn: 1024
`), web + `  device /dev/kmsg (5:9 /dev/kmsg:/dev/kmsg:r)
  device /dev/mem (6:9 source: /dev/mem…)
  device all (9:38 "a *:* rwm")
  sysctl net.core.somaxconn=1024 (11:27 1024)
`},
		"sysctls as a list": {service("    sysctls:\n      - a.b=1\n"), web + "  sysctl a.b=1 (5:9 a.b=1)\n"},
		"API socket":        {service("    use_api_socket: true\n"), web + "  mount /var/run/docker.sock (4:21 true)\n"},
		"network of the host": {
			service("    networks:\n      - outside\nnetworks:\n  outside: {name: host, external: true}\n"), web + "  namespace network (5:9 outside)\n",
		},
		"ports": {service(`    ports:
      - "80"
      - "8080:81/udp"
      - "127.0.0.1:9000-9001:82-83"
      - target: 443
        published: "8443"
      - 80
    expose:
      - 84
      - "85-86/udp"
      - "80"
`), web + `  port 80/tcp (5:9 "80")
  port 81/udp (6:9 "8080:81/udp")
  port 82/tcp (7:9 "127.0.0.1:9000-9001:82-83")
  port 83/tcp (7:9 "127.0.0.1:9000-9001:82-83")
  port 443/tcp (8:9 target: 443…)
  port 84/tcp (12:9 84)
  port 85/udp (13:9 "85-86/udp")
  port 86/udp (13:9 "85-86/udp")
`},
		"environment": {service(`    environment:
      B: two
      A: ${X:-one}
      C:
      D: 4
`), web + `  variable A=one arg=false (6:10 ${X:-one})
  variable B=two arg=false (5:10 two)
  variable D=4 arg=false (8:10 4)
`},
		"environment as a list": {service("    environment:\n      - A=b=c\n      - N\n      - P=${P}\n"), web + "  variable A=b=c arg=false (5:9 A=b=c)\n  variable P= arg=false (7:9 P=${P})\n"},
		"anchors and merge keys": {
			"x-base: &base\n  image: a\n  privileged: &yes true\n  user: root\n  cap_add: &caps [SYS_PTRACE]\nservices:\n  web:\n    <<: *base\n    user: \"5\"\n  db:\n    image: a\n    read_only: *yes\n    cap_add: *caps\n  all: *base\n",
			"service web (7:3 web)\n  user \"5\" 5:unknown (9:11 \"5\")\n  privileged true (3:20 true)\n  capability SYS_PTRACE (5:19 SYS_PTRACE)\n" +
				"service db (10:3 db)\n  capability SYS_PTRACE (5:19 SYS_PTRACE)\n  read-only true (3:20 true)\n" +
				"service all (14:3 all)\n  user \"root\" 0:0 (4:9 root)\n  privileged true (3:20 true)\n  capability SYS_PTRACE (5:19 SYS_PTRACE)\n",
		},
		"extends in the file": {
			"services:\n  base:\n    image: a\n    user: \"1\"\n    cap_add: [X]\n    environment: {A: b}\n  web:\n    extends: base\n    cap_add: [Y]\n  last:\n    extends: {service: web}\n    user: \"2\"\n",
			"service base (2:3 base)\n  user \"1\" 1:unknown (4:11 \"1\")\n  variable A=b arg=false (6:22 b)\n  capability X (5:15 X)\n" +
				"service web (7:3 web)\n  user \"1\" 1:unknown (4:11 \"1\")\n  variable A=b arg=false (6:22 b)\n  capability X (5:15 X)\n  capability Y (9:15 Y)\n" +
				"service last (10:3 last)\n  user \"2\" 2:unknown (12:11 \"2\")\n  variable A=b arg=false (6:22 b)\n  capability X (5:15 X)\n  capability Y (9:15 Y)\n",
		},
		"profiles":          {service("    profiles: [debug]\n    privileged: true\n"), web + "  privileged true (5:17 true)\n"},
		"several documents": {service("    privileged: true\n") + "---\nservices:\n  web:\n    pid: host\n", "service web (7:3 web)\n  privileged true (line 7)\n  namespace pid (8:10 host)\n"},
		"carriage returns":  {strings.ReplaceAll(service("    privileged: true\n    cap_add:\n    - A\n"), "\n", "\r\n"), web + "  privileged true (4:17 true)\n  capability A (6:7 A)\n"},
		"version":           {"version: \"3\"\n" + service(""), "service web (3:3 web)\n"},
		"jobs":              {"jobs:\n  j:\n    image: a\n    privileged: true\n    triggers: {manual: true}\n", "job j (2:3 j)\n  privileged true (4:17 true)\n"},
		"hooks": {
			service("    pre_start:\n      - command: [x]\n        user: \"0\"\n"), web + "service web, pre_start 1 (5:9 command: [x])\n  user \"0\" 0:0 (6:15 \"0\")\n  command [\"x\"] (5:18 [x])\n",
		},
		"provider": {"services:\n  web:\n    provider: {type: x}\n", ""},
		"JSON":     {`{"services": {"web": {"image": "a", "privileged": true}}}`, "service web (1:15 \"web\")\n  privileged true (1:51 true)\n"},
		"override": {service("    cap_add: !override [A]\n    pid: !reset null\n"), web + "  capability A (4:25 A)\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := load(t, guard.Source{Path: "compose.yaml", Data: []byte(tt.source)}, guard.Env{})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestFiles loads what other files have a part in.
func TestFiles(t *testing.T) {
	t.Setenv("U", "77") // must make no difference
	tests := map[string]struct {
		files map[string]string
		want  string
	}{
		".env": {
			map[string]string{
				"compose.yaml": service("    user: \"${U}:${G:-5}\"\n    cap_add: [\"${CAP}\"]\n    environment: {SECRET: \"x${TOKEN}y\", FROM_ENV: }\n"),
				".env":         "U=1001\nCAP=NET_RAW\nTOKEN=geheim\nFROM_ENV=z\n",
			},
			"service web (2:3 web)\n  user \"1001:5\" 1001:5 (4:11 \"${U}:${G:-5}\") written ${U}:${G:-5}\n" +
				"  variable SECRET=xy arg=false (6:27 \"x${TOKEN}y\")\n  capability NET_RAW (5:15 \"${CAP}\")\n",
		},
		"relative paths": {
			map[string]string{"compose.yaml": service("    volumes: [\"./d:/d\", \"../e:/e\", \"~/f:/f\", \".:/g\"]\n")},
			"service web (2:3 web)\n  mount ./d (4:15 \"./d:/d\")\n  mount " + "DIR/../e" + " (4:25 \"../e:/e\")\n  mount ~/f (4:36 \"~/f:/f\")\n  mount . (4:46 \".:/g\")\n",
		},
		"extends another file": {
			map[string]string{
				"compose.yaml":     "services:\n  web:\n    extends: {file: sub/base.yaml, service: b}\n    pid: host\n",
				"sub/base.yaml":    "services:\n  b:\n    image: a\n    privileged: true\n    volumes: [\"./x:/x\"]\n    environment: {A: b}\n",
				"sub/unrelated.md": "x",
			},
			"service web (2:3 web)\n  privileged true (line 2)\n  namespace pid (4:10 host)\n  mount ./sub/x (line 2)\n",
		},
		"include": {
			map[string]string{
				"compose.yaml":     "include:\n  - sub/more.yaml\n" + service(""),
				"sub/more.yaml":    "services:\n  db:\n    image: a\n    user: \"${X}\"\n    build: {context: ., dockerfile: D}\n",
				"sub/.env":         "X=8\n",
				"sub/D":            "FROM scratch\nUSER 9\n",
				"sub/unrelated.md": "x",
			},
			"service db (line 2)\n  user \"8\" 8:0 (line 2)\nservice web (4:3 web)\n",
		},
		"built": {
			map[string]string{
				"compose.yaml":   "services:\n  web:\n    build: app\n    ports: [\"80:81\"]\n",
				"app/Dockerfile": "FROM scratch\nUSER 1000:1000\nEXPOSE 81 82\nENTRYPOINT [\"/x\"]\n",
			},
			"service web (2:3 web)\n  user \"1000:1000\" 1000:1000 (3:12 app) from app/Dockerfile\n  command [\"/x\"] (3:12 app)\n  port 81/tcp (4:13 \"80:81\")\n  port 82/tcp (3:12 app)\n",
		},
		"built, with more words": {
			map[string]string{
				"compose.yaml": "services:\n  web:\n    image: named\n    build:\n      context: .\n      dockerfile: docker/D\n      target: dev\n      args: {UID: 55}\n    command: [serve]\n",
				"docker/D":     "FROM scratch AS dev\nARG UID=1\nUSER $UID\nENTRYPOINT [\"/e\"]\nFROM scratch\nUSER 0\n",
			},
			"service web (2:3 web)\n  user \"55\" 55:0 (5:7 context: .…) written $UID from docker/D\n  command [\"/e\" \"serve\"] (9:14 [serve])\n  variable UID=55 arg=true (8:19 55)\n",
		},
		"built inline, user replaced": {
			map[string]string{"compose.yaml": "services:\n  web:\n    user: \"3\"\n    entrypoint: /y\n    build:\n      dockerfile_inline: |\n        FROM scratch\n        USER 0\n        CMD [\"/z\"]\n"},
			"service web (2:3 web)\n  user \"3\" 3:0 (3:11 \"3\")\n  command [\"/y\"] (4:17 /y)\n",
		},
		"built from nothing": {
			map[string]string{"compose.yaml": "services:\n  web:\n    build: ./gone\n  far:\n    user: \"4\"\n    build: https://example.com/x.git\n"},
			"service web (2:3 web)\n  user \"\" unknown:unknown (3:12 ./gone) the image is built, and its Dockerfile cannot be read: stat DIR/gone/Dockerfile: no such file or directory\n" +
				"service far (4:3 far)\n  user \"4\" 4:unknown (5:11 \"4\")\n",
		},
		"broken Dockerfile": {
			map[string]string{"compose.yaml": "services:\n  web:\n    build: .\n", "Dockerfile": "FROM scratch\nNONSENSE\n"},
			"service web (2:3 web)\n  user \"\" unknown:unknown (3:12 .) the image is built, and Dockerfile: line 2: unknown instruction: NONSENSE\n",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			src := project(t, tt.files)
			want := strings.ReplaceAll(tt.want, "DIR/../e", filepath.Join(filepath.Dir(src.File), "../e"))
			if diff := cmp.Diff(want, load(t, src, guard.Env{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	tests := map[string]struct {
		source string
		want   string
	}{
		"wrong type":          {"services:\n  web:\n    image: [not, a, name]\n", "line 3: services.web.image must be a string"},
		"unknown key":         {service("    imgae: a\n"), "line 4: services.web.imgae is no key of compose files"},
		"unknown section":     {service("") + "servces: {}\n", "line 4: additional properties 'servces' not allowed"},
		"list for a service":  {"services:\n  a.b: []\n", "line 2: services.a.b must be a mapping"},
		"duplicate key":       {service("    image: b\n"), `line 4: mapping key "image" already defined at line 3`},
		"no YAML":             {"services:\n  web:\n\timage: a\n", "line 3: found character that cannot start any token"},
		"bad interpolation":   {service("    command: ${a b}\n"), "line 4: invalid interpolation format for services.web.command."},
		"number for a user":   {service("    user: 1000\n"), "line 4: services.web.user must be a string"},
		"no boolean":          {service("    privileged: maybe\n"), `line 4: error while interpolating services.web.privileged: failed to cast to expected type: invalid boolean: maybe`},
		"port":                {service("    ports: [\"x:y\"]\n"), "line 1: invalid containerPort: y"},
		"extends nothing":     {service("    extends: gone\n"), `line 2: cannot extend service "web" in compose.yaml: service "gone" not found`},
		"extends itself":      {service("    extends: web\n"), "line 4: Circular reference:"},
		"remote extends":      {service("    extends: {file: \"https://x/y.yaml\", service: b}\n"), "line 4: https://x/y.yaml is not on this machine, and is not fetched"},
		"remote include":      {"include: [\"oci://x/y\"]\n" + service(""), "line 1: oci://x/y is not on this machine, and is not fetched"},
		"file beside nowhere": {service("    extends: {file: y.yaml, service: b}\n"), "line 4: y.yaml is another file, and it is not known where this one is"},
		"no file":             {"include: [/dev]\n" + service(""), "line 1: /dev is another file, and it is not known where this one is"},
		"empty":               {"# nothing\n", "line 1: empty compose file"},
		"a list":              {"- services\n", "line 1: top-level object must be a mapping"},
		"many ports":          {service("    ports: [\"1-65535\", \"1-65535\", \"1-65535/udp\"]\n"), "line 4: too many ports"},
		"many ports, extended": {
			"services:\n  a: &a {image: x, ports: [1-65535]}\n  b: {extends: a}\n  c: {extends: {service: b}}\n", "line 2: too many ports",
		},
		"many exposed": {service("    expose: [\"1-65535\", \"1-65535\", \"1-65535/udp\"]\n"), "line 4: too many ports"},
		"alias bomb":   {"x: &a [a, a, a, a, a, a, a, a, a]\ny: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nz: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nu: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\nv: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nw: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\nq: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nservices: {a: {image: b, command: *g}}\n", "line 1: document contains excessive aliasing"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := compose.Load(t.Context(), guard.Source{Path: "compose.yaml", Data: []byte(tt.source)}, guard.Env{})
			var syntax *guard.SyntaxError
			if !errors.As(err, &syntax) || syntax.Error() != tt.want {
				t.Errorf("%v; want %s", err, tt.want)
			}
		})
	}
}

// TestUserSlot puts a user where the slot is, and expects the service to run as it.
func TestUserSlot(t *testing.T) {
	tests := map[string]struct{ source, want string }{
		"replaced":    {service("    user: root # x\n"), service("    user: \"47\" # x\n")},
		"new":         {service(""), "services:\n  web:\n    user: \"47\"\n    image: a\n"},
		"over merged": {"x-b: &b {image: a, user: root}\nservices:\n  web:\n    <<: *b\n    pid: host\n", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			src := guard.Source{Path: "compose.yaml", Data: []byte(tt.source)}
			subjects, err := compose.Load(t.Context(), src, guard.Env{})
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				if slot := subjects[0].UserSlot; slot != nil {
					t.Errorf("slot %+v", slot)
				}
				return
			}
			fixed, err := guard.Apply(src.Data, []guard.Edit{subjects[0].UserSlot.Put("47")})
			if err != nil || string(fixed) != tt.want {
				t.Fatalf("%s, %v; want %s", fixed, err, tt.want)
			}
			subjects, err = compose.Load(t.Context(), guard.Source{Data: fixed}, guard.Env{})
			if err != nil || subjects[0].User.Spec != "47" {
				t.Errorf("then %v, %v", subjects, err)
			}
		})
	}
}

func TestIs(t *testing.T) {
	tests := map[string]struct {
		name, data string
		want       bool
	}{
		"compose.yaml":      {"compose.yaml", "", true},
		"compose.yml":       {"compose.yml", "", true},
		"docker-compose":    {"docker-compose.prod.yml", "", true},
		"upper case":        {"Docker-Compose.YAML", "", true},
		"dashes":            {"docker-compose-dev.yaml", "", true},
		"another name":      {"composer.yaml", "", false},
		"by content":        {"stack.yml", "version: '3'\nservices:\n  a: {}\n", true},
		"stdin":             {"-", "services:\n", true},
		"nested":            {"x.yml", "x:\n  services:\n", false},
		"kubernetes":        {"x.yml", "apiVersion: v1\nservices:\n", false},
		"other extension":   {"compose.json", "services:\n", false},
		"name without type": {"compose", "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := compose.Is(tt.name, []byte(tt.data)); got != tt.want {
				t.Errorf("Is = %v", got)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := compose.Load(ctx, guard.Source{Data: []byte(service(""))}, guard.Env{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Load = %v", err)
	}
}

func BenchmarkLoad(b *testing.B) {
	src := guard.Source{Data: []byte(service("    ports: [\"80:80\"]\n    volumes: [\"/x:/x\"]\n    environment: {A: b}\n"))}
	for b.Loop() {
		if _, err := compose.Load(b.Context(), src, guard.Env{}); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(service("    user: ${U:-0}\n    ports: [\"1-9:1-9/udp\", {target: 3}]\n    volumes: [\"/a:/b:ro\", {type: bind, source: ./x, target: /y}]\n")))
	f.Add([]byte("x-b: &b {image: a, user: root}\nservices:\n  web: {<<: *b, extends: {service: db}, cap_add: [A]}\n  db: *b\n"))
	f.Add([]byte(service("    build: {context: ., dockerfile_inline: \"FROM scratch\\nUSER 0\", args: [A=b]}\n    security_opt: [\"seccomp=unconfined\"]\n")))
	f.Add([]byte(service("    environment: [A=b, C]\n    sysctls: {a: 1}\n    devices: [/dev/x]\n    pre_start: [{command: x}]\n")))
	f.Add([]byte("include: [a.yaml]\njobs: {a: {image: b}}\nnetworks: {n: {name: host}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		subjects, err := compose.Load(t.Context(), guard.Source{Path: "f", Data: data}, guard.Env{})
		var syntax *guard.SyntaxError
		if err != nil && (!errors.As(err, &syntax) || syntax.Line < 1) {
			t.Fatalf("error %v", err)
		}
		for _, s := range subjects {
			places := []guard.Location{s.Where, s.User.Where, s.ImageAt, s.Command.Where}
			for _, g := range s.Grants {
				places = append(places, g.Where)
			}
			for _, p := range s.Ports {
				places = append(places, p.Where)
			}
			for _, v := range s.Variables {
				places = append(places, v.Where)
			}
			for _, l := range places {
				if _, ok := guard.Offset(data, l.Line, max(l.Column, 1)); !ok {
					t.Fatalf("%s: no place: %+v", s.Name, l)
				}
			}
			if s.UserSlot != nil {
				if _, err := guard.Apply(data, []guard.Edit{s.UserSlot.Put("1")}); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
