package network

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"
)

func TestResolvers(t *testing.T) {
	const stub = "# stub\nnameserver 127.0.0.53\noptions edns0\nsearch lan\n"
	tests := map[string]struct {
		mode           Mode
		file, resolved string
		want           string
		warned         bool
		forward        bool
	}{
		"kept": {file: "search a b\nnameserver 192.0.2.1\noptions ndots:2\n", want: "search a b\nnameserver 192.0.2.1\noptions ndots:2\n"},
		"loopback and others": {
			file: "nameserver 127.0.0.1\nnameserver 192.0.2.1\nnameserver ::1\n", want: "nameserver 192.0.2.1\n",
		},
		"no final line break": {file: "nameserver 192.0.2.1", want: "nameserver 192.0.2.1\n"},
		"IPv6 on the bridge":  {file: "nameserver 2001:db8::1\nnameserver 192.0.2.1\n", want: "nameserver 192.0.2.1\n"},
		"IPv6 with pasta":     {mode: Pasta, file: "nameserver 2001:db8::1\n", want: "nameserver 2001:db8::1\n"},
		"link local":          {mode: Pasta, file: "nameserver fe80::1%eth0\nnameserver 192.0.2.1\n", want: "nameserver 192.0.2.1\n"},
		"systemd-resolved":    {file: stub, resolved: "nameserver 192.0.2.7\nsearch lan\n", want: "nameserver 192.0.2.7\nsearch lan\n"},
		"garbage":             {file: "nameserver x\nnameserver 192.0.2.1\n", want: "nameserver 192.0.2.1\n"},
		"loopback only": {
			file: stub, warned: true,
			want: "# no name server of the host can be reached from here\n# stub\noptions edns0\nsearch lan\n",
		},
		"loopback only, with pasta": {
			mode: Pasta, file: stub, forward: true, want: "nameserver 169.254.1.1\n# stub\noptions edns0\nsearch lan\n",
		},
		"empty": {warned: true, want: "# no name server of the host can be reached from here\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.mode == "" {
				tt.mode = Bridge
			}
			var log bytes.Buffer
			n := &Network{
				cfg: config{resolvedConf: t.TempDir() + "/resolved"}, helper: &pastaHelper{},
				opts: Options{Mode: tt.mode, Log: slog.New(slog.NewTextHandler(&log, nil))},
			}
			if tt.resolved != "" {
				check(t, os.WriteFile(n.cfg.resolvedConf, []byte(tt.resolved), 0o600))
			}
			if got := string(n.resolvers([]byte(tt.file))); got != tt.want {
				t.Errorf("resolv.conf:\n%swant:\n%s", got, tt.want)
			}
			if warned := strings.Contains(log.String(), "names will not be resolved"); warned != tt.warned {
				t.Errorf("warned %v: %s", warned, &log)
			}
			if n.helper.forwardDNS != tt.forward {
				t.Errorf("DNS forwarding %v", n.helper.forwardDNS)
			}
		})
	}
}

func FuzzFilterResolv(f *testing.F) {
	for _, s := range []string{"nameserver 127.0.0.53\n", "nameserver\t8.8.8.8", "search x\n\n;c\nnameserver ::1", "nameserver ::ffff:127.0.0.1\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		out, kept := filterResolv(data, func(a netip.Addr) bool { return !a.IsLoopback() })
		left := nameservers(out)
		if len(left) != kept {
			t.Fatalf("%d kept, %d in the output %q", kept, len(left), out)
		}
		for _, a := range left {
			if a.IsLoopback() {
				t.Fatalf("%s is left in %q", a, out)
			}
		}
		if len(out) > len(data)+1 {
			t.Fatalf("%q grew to %q", data, out)
		}
	})
}

func TestHostFiles(t *testing.T) {
	cfg := config{resolvConf: t.TempDir() + "/resolv.conf", hostsFile: t.TempDir() + "/hosts"}
	check(t, os.WriteFile(cfg.resolvConf, []byte("nameserver 127.0.0.53\n"), 0o600))
	check(t, os.WriteFile(cfg.hostsFile, []byte("127.0.0.1 me\n"), 0o600))
	var log bytes.Buffer
	n, err := cfg.open(t.Context(), Options{
		Mode: Host, Hostname: "box", Ports: mustPorts(t, "80:80"), Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	check(t, err)
	if string(n.ResolvConf()) != "nameserver 127.0.0.53\n" || string(n.Hosts()) != "127.0.0.1 me\n" {
		t.Errorf("host mode is not verbatim: %q %q", n.ResolvConf(), n.Hosts())
	}
	if !strings.Contains(log.String(), "Published ports are discarded when using host network mode") || n.Ports() != nil {
		t.Errorf("ports %v, log %s", n.Ports(), &log)
	}
	if got, want := string(hosts("10.87.0.2", "box")), "10.87.0.2\tbox\n"; !strings.HasSuffix(got, want) {
		t.Errorf("hosts: %q", got)
	}
	gone := config{resolvConf: "/nonexistent/resolv.conf", hostsFile: "/nonexistent/hosts"}
	if _, err := gone.open(t.Context(), Options{Mode: Host}); err != nil {
		t.Errorf("without the host's files: %v", err)
	}
}
