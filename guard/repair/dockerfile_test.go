package repair_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard/repair"
)

const user = "9000:9000"

func TestDockerfile(t *testing.T) {
	chown := repair.Repair{Kind: repair.Chown, Path: "/var/lib/app", Why: "app writes here (openat, EACCES)"}
	tests := map[string]struct {
		source  string
		o       repair.Options
		repairs []repair.Repair
		want    string
	}{
		"nothing but the user": {
			source: "FROM debian\nRUN true\nCMD [\"app\"]\n",
			want:   "FROM debian\nRUN true\nUSER 9000:9000\nCMD [\"app\"]\n",
		},
		"no metadata at all": {
			source: "FROM debian\nRUN true",
			want:   "FROM debian\nRUN true\nUSER 9000:9000",
		},
		"comments": {
			source:  "FROM debian\nCMD [\"app\"]\n",
			o:       repair.Options{Comments: true},
			repairs: []repair.Repair{chown},
			want: "FROM debian\n# deckhand: app writes here (openat, EACCES)\nRUN chown 9000:9000 /var/lib/app\n" +
				"# deckhand: the service works without root\nUSER 9000:9000\nCMD [\"app\"]\n",
		},
		"a comment stays with its command": {
			source:  "FROM debian\nEXPOSE 80\n\n# start it\nCMD [\"app\"]\n",
			repairs: []repair.Repair{chown},
			want:    "FROM debian\nEXPOSE 80\n\nRUN chown 9000:9000 /var/lib/app\nUSER 9000:9000\n# start it\nCMD [\"app\"]\n",
		},
		"the last USER is replaced": {
			source:  "FROM debian\nUSER root\nEXPOSE 80\nCMD app\n",
			repairs: []repair.Repair{chown},
			want:    "FROM debian\nRUN chown 9000:9000 /var/lib/app\nUSER 9000:9000\nEXPOSE 80\nCMD app\n",
		},
		"work after the last USER": {
			source:  "FROM debian\nUSER root\nCMD app\nCOPY . /app\nRUN make\n",
			repairs: []repair.Repair{chown},
			want: "FROM debian\nUSER root\nCMD app\nCOPY . /app\nRUN make\nRUN chown 9000:9000 /var/lib/app\n" +
				"USER 9000:9000\n",
		},
		"the stage is not root's": {
			source:  "FROM debian\nUSER www-data\nRUN make\nUSER app\nCMD app\n",
			repairs: []repair.Repair{chown},
			want: "FROM debian\nUSER www-data\nRUN make\nUSER 0\nRUN chown 9000:9000 /var/lib/app\n" +
				"USER 9000:9000\nCMD app\n",
		},
		"the base is not root's": {
			source:  "FROM corp/base\nCMD app\n",
			o:       repair.Options{BaseUser: "1001"},
			repairs: []repair.Repair{chown},
			want:    "FROM corp/base\nUSER 0\nRUN chown 9000:9000 /var/lib/app\nUSER 9000:9000\nCMD app\n",
		},
		"an earlier stage is not root's": {
			source:  "ARG B=Build\nFROM debian AS build\nUSER app\nFROM ${B}\nCMD app\n",
			repairs: []repair.Repair{chown},
			want: "ARG B=Build\nFROM debian AS build\nUSER app\nFROM ${B}\nUSER 0\n" +
				"RUN chown 9000:9000 /var/lib/app\nUSER 9000:9000\nCMD app\n",
		},
		"no USER 0 without work": {
			source:  "FROM corp/base\nCMD app\n",
			o:       repair.Options{BaseUser: "app"},
			repairs: []repair.Repair{{Kind: repair.Environ, Value: "HOME=/data"}},
			want:    "FROM corp/base\nENV HOME=/data\nUSER 9000:9000\nCMD app\n",
		},
		"a target": {
			source:  "FROM debian AS App\nCMD app\n\n# tests\nFROM app AS test\nRUN check\n",
			o:       repair.Options{Target: "app"},
			repairs: []repair.Repair{chown},
			want: "FROM debian AS App\nRUN chown 9000:9000 /var/lib/app\nUSER 9000:9000\nCMD app\n\n# tests\n" +
				"FROM app AS test\nRUN check\n",
		},
		"missing, recursive, volume": {
			source: "FROM debian\nVOLUME /old\nCMD app\n",
			repairs: []repair.Repair{
				{Kind: repair.Chown, Path: "/srv/a b", Missing: true, Recursive: true},
				{Kind: repair.Volume, Path: "/data", Missing: true},
				{Kind: repair.Tmpfs, Path: "/run"},
			},
			want: "FROM debian\nRUN mkdir -p '/srv/a b' && chown -R 9000:9000 '/srv/a b'\n" +
				"RUN mkdir -p /data && chown 9000:9000 /data\nVOLUME [\"/data\"]\nVOLUME /old\nUSER 9000:9000\nCMD app\n",
		},
		"a shell that is none": {
			source:  "FROM debian\nSHELL [\"python3\", \"-c\"]\nCMD app\n",
			repairs: []repair.Repair{{Kind: repair.Chown, Path: `/it's "$x"`}},
			want: "FROM debian\nSHELL [\"python3\", \"-c\"]\n" +
				`RUN ["/bin/sh", "-c", "chown 9000:9000 '/it'\\''s \"$x\"'"]` + "\nUSER 9000:9000\nCMD app\n",
		},
		"CRLF": {
			source:  "FROM debian\r\nUSER root\r\nCMD app\r\n",
			repairs: []repair.Repair{chown},
			want:    "FROM debian\r\nRUN chown 9000:9000 /var/lib/app\r\nUSER 9000:9000\r\nCMD app\r\n",
		},
		"escape directive, continued lines": {
			source: "# escape=`\nFROM debian\nRUN a `\n  # why\n  b\nUSER `\n root\nCMD app\n",
			repairs: []repair.Repair{
				{Kind: repair.Environ, Value: "A=`x \"$y\\"},
			},
			want: "# escape=`\nFROM debian\nRUN a `\n  # why\n  b\nENV A=\"``x `\"`$y\\\"\nUSER `\n 9000:9000\nCMD app\n",
		},
		"heredoc at the end": {
			source:  "FROM debian\nRUN <<EOF\nUSER app\nCMD x\nEOF\n",
			repairs: []repair.Repair{chown},
			want:    "FROM debian\nRUN <<EOF\nUSER app\nCMD x\nEOF\nRUN chown 9000:9000 /var/lib/app\nUSER 9000:9000\n",
		},
		"the other kinds": {
			source: "FROM debian\nCMD app\n",
			repairs: []repair.Repair{
				{Kind: repair.Mode, Path: "/etc/app", Recursive: true},
				{Kind: repair.Passwd, Value: "app", Path: "/var/lib/app"},
				{Kind: repair.StripCaps, Path: "/bin/ping"},
				{Kind: repair.Config, Path: "/etc/app.conf", Old: `pid [a.b]*/^$\1;`, Value: `pid /x&\y;`},
				{Kind: repair.Config, Path: "/etc/app.conf", Old: "user www-data;"},
				{Kind: repair.Port, Value: "net.ipv4.ip_unprivileged_port_start=80"},
				{Kind: repair.Capability, Value: "CAP_NET_RAW"},
				{Kind: repair.ReadWrite},
			},
			want: "FROM debian\nRUN chmod -R o+rX /etc/app\n" +
				"RUN echo 'app:x:9000:9000::/var/lib/app:/usr/sbin/nologin' >> /etc/passwd && echo 'app:x:9000:' >> /etc/group\n" +
				"RUN cp -p /bin/ping /bin/ping.deckhand && mv /bin/ping.deckhand /bin/ping\n" +
				`RUN sed -i 's|^pid \[a\.b]\*/\^\$\\1;$|pid /x\&\\y;|' /etc/app.conf` + "\n" +
				"RUN sed -i '/^user www-data;$/d' /etc/app.conf\nUSER 9000:9000\nCMD app\n",
		},
		"root is kept": {
			source:  "FROM debian\nUSER app\nCMD app\n",
			o:       repair.Options{User: "0:0", Comments: true},
			repairs: []repair.Repair{{Kind: repair.Root, Why: "cron\nsets   users"}},
			want:    "FROM debian\n# deckhand: cron sets users\nUSER 0:0\nCMD app\n",
		},
		"ENV that is set again": {
			source:  "FROM debian\nCMD app\nENV HOME=/root\nEXPOSE 80\n",
			repairs: []repair.Repair{{Kind: repair.Environ, Value: "HOME=/data"}},
			want:    "FROM debian\nUSER 9000:9000\nCMD app\nENV HOME=/root\nENV HOME=/data\nEXPOSE 80\n",
		},
		"ENV that is there but does not count": {
			source:  "FROM debian\nENV HOME=/data\nENV HOME=/root\nCMD app\n",
			repairs: []repair.Repair{{Kind: repair.Environ, Value: "HOME=/data"}},
			want:    "FROM debian\nENV HOME=/data\nENV HOME=/root\nENV HOME=/data\nUSER 9000:9000\nCMD app\n",
		},
		"no shell, missing": {
			source: "FROM golang AS build\nRUN make\n\n# small\nFROM scratch\nCOPY --from=build /app /app\nENTRYPOINT [\"/app\"]\n",
			o:      repair.Options{NoShell: true},
			repairs: []repair.Repair{
				{Kind: repair.Chown, Path: "/data", Missing: true},
				{Kind: repair.Volume, Path: "/my $x", Missing: true},
				{Kind: repair.Passwd, Value: "app", Missing: true},
			},
			want: "FROM golang AS build\nRUN make\n\nFROM scratch AS deckhand-empty\n\n# small\nFROM scratch\n" +
				"COPY --from=build /app /app\nCOPY --from=deckhand-empty --chown=9000:9000 / /data/\n" +
				`COPY --from=deckhand-empty --chown=9000:9000 ["/", "/my \\$x/"]` + "\n" +
				"COPY <<\"EOF\" /etc/passwd\nroot:x:0:0:root:/root:/usr/sbin/nologin\napp:x:9000:9000::/:/usr/sbin/nologin\nEOF\n" +
				"COPY <<\"EOF\" /etc/group\nroot:x:0:\napp:x:9000:\nEOF\nVOLUME [\"/my \\\\$x\"]\nUSER 9000:9000\nENTRYPOINT [\"/app\"]\n",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.o.User == "" {
				tt.o.User = user
			}
			got, err := repair.Dockerfile([]byte(tt.source), tt.o, tt.repairs)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Fatalf("(-want +got)\n%s", diff)
			}
			again, err := repair.Dockerfile(got, tt.o, tt.repairs)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(got), string(again)); diff != "" {
				t.Errorf("the second time (-first +second)\n%s", diff)
			}
		})
	}
}

func TestDockerfileStart(t *testing.T) {
	tests := map[string]struct {
		source, want string
		plain        bool
		argv         []string
	}{
		"the command stays": {
			source: "FROM redis\nENTRYPOINT [\"docker-entrypoint.sh\"]\nCMD [\"redis-server\", \"/r.conf\"]\n",
			want:   "FROM redis\nUSER 9000:9000\nENTRYPOINT []\nCMD [\"redis-server\", \"/r.conf\"]\n",
		},
		"the entrypoint goes": {
			source: "FROM debian\nENTRYPOINT [\"docker-entrypoint.sh\"]\nCMD [\"redis-server\", \"/r.conf\"]\n",
			plain:  true,
			want:   "FROM debian\nUSER 9000:9000\nCMD [\"redis-server\", \"/r.conf\"]\n",
		},
		"a part of the command stays": {
			source: "FROM redis\nENTRYPOINT [\"start\"]\nCMD [\"/r.conf\"]",
			want:   "FROM redis\nUSER 9000:9000\nENTRYPOINT [\"redis-server\"]\nCMD [\"/r.conf\"]",
		},
		"the command goes": {
			source: "FROM redis\nCMD start\nEXPOSE 1\nENTRYPOINT start\n",
			want:   "FROM redis\nUSER 9000:9000\nEXPOSE 1\nENTRYPOINT [\"redis-server\", \"/r.conf\"]\n",
		},
		"command only": {
			source: "FROM redis\nCMD start \\\n  here\n",
			want:   "FROM redis\nUSER 9000:9000\nENTRYPOINT []\nCMD [\"redis-server\", \"/r.conf\"]\n",
		},
		"command only, plain base": {
			source: "FROM debian AS a\nFROM a\nCMD start\n", plain: true,
			want: "FROM debian AS a\nFROM a\nUSER 9000:9000\nCMD [\"redis-server\", \"/r.conf\"]\n",
		},
		"command only, the earlier stage has an entrypoint": {
			source: "FROM debian AS a\nONBUILD ENTRYPOINT x\nFROM a\nCMD start\n", plain: true,
			want: "FROM debian AS a\nONBUILD ENTRYPOINT x\nFROM a\nUSER 9000:9000\nENTRYPOINT []\n" +
				"CMD [\"redis-server\", \"/r.conf\"]\n",
		},
		"neither": {
			source: "FROM redis\n",
			want:   "FROM redis\nUSER 9000:9000\nENTRYPOINT [\"redis-server\", \"/r.conf\"]\n",
		},
		"signs": {
			source: "FROM debian\nCMD start\n", plain: true, argv: []string{"a", "<$x>\\", `"`},
			want: "FROM debian\nUSER 9000:9000\nCMD [\"a\", \"<$x>\\\\\", \"\\\"\"]\n",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			argv := tt.argv
			if argv == nil {
				argv = []string{"redis-server", "/r.conf"}
			}
			o := repair.Options{User: user, NoEntrypoint: tt.plain}
			repairs := []repair.Repair{{Kind: repair.Entrypoint, Argv: argv}}
			got, err := repair.Dockerfile([]byte(tt.source), o, repairs)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Fatalf("(-want +got)\n%s", diff)
			}
			again, err := repair.Dockerfile(got, o, repairs)
			if err != nil || string(again) != string(got) {
				t.Errorf("the second time: %v\n%s", err, cmp.Diff(string(got), string(again)))
			}
		})
	}
}

func TestDockerfileRefuses(t *testing.T) {
	shell, text := new(*repair.NoShellError), new(*repair.PathError)
	tests := map[string]struct {
		source string
		o      repair.Options
		r      repair.Repair
		as     any
		want   string
	}{
		"no shell":        {"FROM a", repair.Options{NoShell: true}, repair.Repair{Kind: repair.Chown, Path: "/a"}, shell, "no shell"},
		"relative":        {"FROM a", repair.Options{}, repair.Repair{Kind: repair.Chown, Path: "a"}, text, "absolute"},
		"line break":      {"FROM a", repair.Options{}, repair.Repair{Kind: repair.Chown, Path: "/a\nb"}, text, "line break"},
		"no variable":     {"FROM a", repair.Options{}, repair.Repair{Kind: repair.Environ, Value: "a b=c"}, text, "NAME=VALUE"},
		"no entry":        {"FROM a", repair.Options{}, repair.Repair{Kind: repair.Passwd, Value: "a:b"}, text, "passwd"},
		"no program":      {"FROM a", repair.Options{}, repair.Repair{Kind: repair.Entrypoint}, text, "program"},
		"no such stage":   {"FROM a", repair.Options{Target: "b"}, repair.Repair{}, nil, `no stage "b"`},
		"no Dockerfile":   {"FORM a", repair.Options{}, repair.Repair{}, nil, "unknown instruction"},
		"open at its end": {"FROM a\nRUN b \\\n", repair.Options{}, repair.Repair{}, nil, "run into one another"},
		"numbered target": {
			"FROM a",
			repair.Options{NoShell: true, Target: "0"},
			repair.Repair{Kind: repair.Chown, Path: "/a", Missing: true},
			nil, "a name",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.o.User = user
			_, err := repair.Dockerfile([]byte(tt.source), tt.o, []repair.Repair{tt.r})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if tt.as != nil && !errors.As(err, tt.as) {
				t.Errorf("error is a %T", err)
			}
		})
	}
}
