package dockerfiles_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/deckhand-engine/deckhand/guard"
)

const appLine = "app:x:1234:29::/:/bin/sh\n"

// fileCases are Dockerfiles that put files onto etc/passwd and etc/group, or may.
func fileCases() map[string]userCase {
	app := guard.User{Spec: "app", UID: id(1234), GID: id(29), Name: "app"}
	grouped := guard.User{Spec: "app:team", UID: id(1234), GID: id(77), Name: "app", GroupSet: true}
	passwd := map[string]string{"passwd": appLine, "etc/passwd": appLine, "etc/group": "team:x:77:\n"}
	missing := guard.User{Spec: "app", Missing: "unable to find user app: no matching entries in passwd file"}
	open := func(why string) guard.User {
		return guard.User{Spec: "app", UID: guard.AnyID(), GID: guard.AnyID(), Name: "app", Unknown: why}
	}
	nobody := guard.User{Spec: "nobody", UID: id(65534), GID: id(65534), Name: "nobody"}
	return map[string]userCase{
		"a file":                   {source: "FROM scratch\nCOPY passwd /etc/passwd\nUSER app", files: passwd, at: "app", line: 3, want: app},
		"a file by ADD":            {source: "FROM scratch\nADD passwd /etc/passwd\nUSER app", files: passwd, at: "app", line: 3, want: app},
		"a file into etc":          {source: "FROM scratch\nCOPY passwd /etc/\nUSER app", files: passwd, at: "app", line: 3, want: app},
		"a file into etc, no dash": {source: "FROM debian\nCOPY passwd /etc\nUSER app", files: passwd, at: "app", line: 3, want: app},
		"by WORKDIR":               {source: "FROM debian\nWORKDIR /etc\nCOPY passwd .\nUSER app", files: passwd, at: "app", line: 4, want: app},
		"by wildcard":              {source: "FROM debian\nCOPY pass* /etc/\nUSER app", files: passwd, at: "app", line: 3, want: app},
		"a directory":              {source: "FROM scratch\nCOPY etc/ /etc/\nUSER app:team", files: passwd, at: "app:team", line: 3, want: grouped},
		"the whole context":        {source: "FROM scratch\nCOPY . /\nUSER app:team", files: passwd, at: "app:team", line: 3, want: grouped},
		"a context without it":     {source: "FROM debian\nCOPY . /\nUSER nobody", files: map[string]string{"x": ""}, at: "nobody", line: 3, want: nobody},
		"with parents":             {source: "FROM scratch\nCOPY --parents etc/passwd /\nUSER app", files: passwd, at: "app", line: 3, want: app},
		"directory with parents":   {source: "FROM scratch\nCOPY --parents etc /\nUSER app", files: passwd, at: "app", line: 3, want: app},
		"a heredoc":                {source: "FROM scratch\nCOPY <<E /etc/passwd\n" + appLine + "E\nUSER app", at: "app", line: 5, want: app},
		"a heredoc with variables": {source: "FROM scratch\nARG N=app\nCOPY <<E /etc/passwd\n$N:x:1234:29::/:/bin/sh\nE\nUSER app", at: "app", line: 6, want: app},
		"a heredoc by its name":    {source: "FROM scratch\nCOPY <<passwd /etc/\n" + appLine + "passwd\nUSER app", at: "app", line: 5, want: app},
		"later users":              {source: "FROM debian\nCOPY passwd /etc/passwd\nUSER www-data", files: passwd, at: "www-data", line: 3, want: guard.User{Spec: "www-data", Missing: "unable to find user www-data: no matching entries in passwd file"}},
		"of a stage": {
			source: "FROM debian AS b\nCOPY passwd /etc/passwd\nFROM scratch\nCOPY --from=b /etc/passwd /etc/passwd\nUSER app", files: passwd,
			at: "app", line: 5, want: app,
		},
		"both of a stage by number": {
			source: "FROM debian AS b\nCOPY etc /etc\nFROM scratch\nCOPY --from=0 /etc/passwd /etc/group /etc/\nUSER app:team", files: passwd,
			at: "app:team", line: 5, want: grouped,
		},
		"all of a stage": {
			source: "FROM debian AS b\nCOPY etc /etc\nFROM scratch\nCOPY --from=b / /\nUSER app:team", files: passwd,
			at: "app:team", line: 5, want: grouped,
		},
		"of elsewhere in a stage": {
			source: "FROM debian AS b\nCOPY etc/passwd /tmp/p\nFROM scratch\nCOPY --from=b /tmp/p /etc/passwd\nUSER app", files: passwd,
			at: "app", line: 5, want: app,
		},
		"of a stage's RUN": {
			source: "FROM debian AS b\nRUN x > /tmp/p\nFROM scratch\nCOPY --from=b /tmp/p /etc/passwd\nUSER app",
			at:     "app", line: 5, want: open("COPY --from=b /tmp/p replaces /etc/passwd by what cannot be seen"),
		},
		"a root of a stage's RUN": {
			source: "FROM debian AS b\nRUN x\nFROM scratch\nCOPY --from=b /rootfs /\nUSER app",
			at:     "app", line: 5, want: open("COPY --from=b /rootfs may replace /etc/passwd"),
		},
		"a root over known users": {
			source: "FROM debian AS b\nRUN x\nFROM debian\nCOPY --from=b /rootfs /\nUSER nobody",
			at:     "nobody", line: 5, want: nobody,
		},
		"a program of a stage": {source: "FROM debian AS b\nRUN x\nFROM scratch\nCOPY --from=b /go/bin/x /\nUSER app", at: "app", line: 5, want: missing},
		"of an image":          {source: "FROM scratch\nCOPY --from=debian /etc/passwd /etc/passwd\nUSER nobody", at: "nobody", line: 3, want: nobody},
		"of an unknown image":  {source: "FROM scratch\nCOPY --from=x /etc/passwd /etc/passwd\nUSER app", at: "app", line: 3, want: open("COPY --from=x /etc/passwd replaces /etc/passwd by what cannot be seen")},
		"not in the context":   {source: "FROM debian\nCOPY p /etc/passwd\nUSER app", files: passwd, at: "app", line: 3, want: open("COPY p replaces /etc/passwd by what cannot be seen")},
		"no context":           {source: "FROM debian\nCOPY p /etc/passwd\nUSER app", at: "app", line: 3, want: open("COPY p replaces /etc/passwd by what cannot be seen")},
		"a URL":                {source: "FROM debian\nADD https://a/p /etc/passwd\nUSER app", at: "app", line: 3, want: open("ADD https://a/p replaces /etc/passwd by what cannot be seen")},
		"an archive":           {source: "FROM scratch\nADD rootfs.tar.xz /\nUSER app", at: "app", line: 3, want: open("ADD rootfs.tar.xz may replace /etc/passwd")},
		"an archive and root":  {source: "FROM scratch\nADD rootfs.tar.xz /\nCMD bash", at: "FROM scratch", line: 1, want: guard.User{}},
		"all without context":  {source: "FROM debian\nCOPY . /\nUSER app", at: "app", line: 3, want: open("COPY . may replace /etc/passwd")},
		"out of the context":   {source: "FROM debian\nCOPY ../../../../../../etc/passwd /etc/passwd\nUSER app", files: map[string]string{"x": ""}, at: "app", line: 3, want: open("COPY ../../../../../../etc/passwd replaces /etc/passwd by what cannot be seen")},
		"ignored":              {source: "FROM debian\nCOPY . /etc/\nUSER app", files: map[string]string{"passwd": appLine, ".dockerignore": "pass*\n"}, at: "app", line: 3, want: missing},
		"ignored by its own":   {source: "FROM debian\nCOPY . /etc/\nUSER app", files: map[string]string{"passwd": appLine, "Dockerfile.dockerignore": "passwd\n", ".dockerignore": "x\n"}, at: "app", line: 3, want: missing},
		"not ignored":          {source: "FROM scratch\nCOPY . /etc/\nUSER 1234", files: map[string]string{"passwd": appLine, ".dockerignore": "*\n!passwd\n"}, at: "1234", line: 3, want: guard.User{Spec: "1234", UID: id(1234), GID: id(29), Name: "app"}},
		"elsewhere":            {source: "FROM debian\nCOPY passwd /opt/etc/passwd\nUSER app", files: passwd, at: "app", line: 3, want: missing},
	}
}

func TestUserFiles(t *testing.T) {
	for name, tt := range fileCases() {
		t.Run(name, func(t *testing.T) { checkUser(t, tt) })
	}
}

// TestStagesOfStages would not end if each stage were worked out for every stage that takes files from it.
func TestStagesOfStages(t *testing.T) {
	var b strings.Builder
	b.WriteString("FROM debian AS s0\nRUN useradd -u 1234 -g audio app\n")
	for i := range 80 {
		fmt.Fprintf(&b, "FROM s%d AS s%d\nCOPY --from=s%d /etc/passwd /etc/group /etc/\nCOPY --from=s%d /run /run\n", i, i+1, i, i)
	}
	b.WriteString("USER app\nENTRYPOINT [\"/run\"]\n")
	if s := text(t, b.String()); s.User.UID != id(1234) || s.User.GID != id(29) {
		t.Errorf("app is %+v", s.User)
	}
	root := strings.Replace(b.String(), "USER app", "USER root", 1)
	if s := text(t, root); !s.User.Root() || s.Drop != nil {
		t.Errorf("root is %+v, %+v", s.User, s.Drop)
	}
}

// TestContextIsNotLeft: links and special files of a hostile build context lead nowhere.
func TestContextIsNotLeft(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte(appLine), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, plant := range map[string]func(path string) error{
		"link":     func(p string) error { return os.Symlink(outside, p) },
		"pipe":     func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"huge":     func(p string) error { return os.WriteFile(p, []byte(strings.Repeat(appLine, 1<<16)), 0o600) },
		"endless":  func(p string) error { return os.Symlink("/dev/zero", p) },
		"circular": func(p string) error { return os.Symlink(filepath.Base(p), p) },
	} {
		t.Run(name, func(t *testing.T) {
			file := contextOf(t, map[string]string{})
			dir := filepath.Dir(file)
			if err := plant(filepath.Join(dir, "passwd")); err != nil {
				t.Fatal(err)
			}
			src := guard.Source{Path: file, File: file, Data: []byte("FROM debian\nCOPY passwd /etc/passwd\nUSER app")}
			if s := load(t, src, guard.Env{Images: images()}); s.User.Unknown == "" {
				t.Errorf("the file was read: %+v", s.User)
			}
		})
	}
}

func TestLinkWithinContext(t *testing.T) {
	file := contextOf(t, map[string]string{"real/passwd": appLine})
	if err := os.Symlink("real", filepath.Join(filepath.Dir(file), "etc")); err != nil {
		t.Fatal(err)
	}
	src := guard.Source{Path: file, File: file, Data: []byte("FROM debian\nCOPY etc/ /etc\nUSER app")}
	if s := load(t, src, guard.Env{}); s.User.UID != id(1234) {
		t.Errorf("app is %+v", s.User)
	}
}
