package network

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParsePorts(t *testing.T) {
	addr := netip.MustParseAddr
	tests := map[string]struct {
		want []Port
		err  string
	}{
		"80":                     {want: []Port{{ContainerPort: 80, Protocol: "tcp"}}},
		"80/udp":                 {want: []Port{{ContainerPort: 80, Protocol: "udp"}}},
		"80/TCP":                 {want: []Port{{ContainerPort: 80, Protocol: "tcp"}}},
		"8080:80":                {want: []Port{{HostPort: 8080, ContainerPort: 80, Protocol: "tcp"}}},
		"0:80":                   {want: []Port{{ContainerPort: 80, Protocol: "tcp"}}},
		":80":                    {want: []Port{{ContainerPort: 80, Protocol: "tcp"}}},
		"127.0.0.1:8080:80":      {want: []Port{{HostIP: addr("127.0.0.1"), HostPort: 8080, ContainerPort: 80, Protocol: "tcp"}}},
		"127.0.0.1::80/udp":      {want: []Port{{HostIP: addr("127.0.0.1"), ContainerPort: 80, Protocol: "udp"}}},
		"[::1]:8080:80":          {want: []Port{{HostIP: addr("::1"), HostPort: 8080, ContainerPort: 80, Protocol: "tcp"}}},
		"::1:8080:80":            {want: []Port{{HostIP: addr("::1"), HostPort: 8080, ContainerPort: 80, Protocol: "tcp"}}},
		"[::ffff:10.0.0.1]:1:80": {want: []Port{{HostIP: addr("10.0.0.1"), HostPort: 1, ContainerPort: 80, Protocol: "tcp"}}},
		"80-81":                  {want: []Port{{ContainerPort: 80, Protocol: "tcp"}, {ContainerPort: 81, Protocol: "tcp"}}},
		"8080-8081:80-81/udp": {want: []Port{
			{HostPort: 8080, ContainerPort: 80, Protocol: "udp"}, {HostPort: 8081, ContainerPort: 81, Protocol: "udp"},
		}},
		"8080-8090:80":     {want: []Port{{HostPort: 8080, HostPortEnd: 8090, ContainerPort: 80, Protocol: "tcp"}}},
		"8080-8080:80-80":  {want: []Port{{HostPort: 8080, ContainerPort: 80, Protocol: "tcp"}}},
		"65535:65535":      {want: []Port{{HostPort: 65535, ContainerPort: 65535, Protocol: "tcp"}}},
		"":                 {err: "no port specified"},
		"8080:":            {err: "no port specified"},
		"80/":              {err: `protocol "" is not tcp or udp`},
		"80/sctp":          {err: `protocol "sctp" is not tcp or udp`},
		"0":                {err: `invalid container port "0"`},
		"0-3":              {err: `invalid container port "0-3"`},
		"65536":            {err: `invalid container port "65536"`},
		"-80":              {err: `invalid container port "-80"`},
		"+80":              {err: `invalid container port "+80"`},
		"81-80":            {err: `invalid container port "81-80"`},
		"web:80":           {err: `invalid host port "web"`},
		"0-5:80":           {err: `invalid host port "0-5"`},
		"8080-8081:80-82":  {err: "2 host ports for 3 container ports"},
		"8080:80-81":       {err: "1 host ports for 2 container ports"},
		"localhost:80:80":  {err: `invalid IP address "localhost"`},
		"1.2.3:80:80":      {err: `invalid IP address "1.2.3"`},
		"[fe80::1%e]:1:80": {err: `invalid IP address "fe80::1%e"`},
		"[::1:80:80":       {err: `invalid IP address "[::1"`},
	}
	for in, tt := range tests {
		t.Run(in, func(t *testing.T) {
			got, err := ParsePorts(in)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestPortString(t *testing.T) {
	tests := map[string]Port{
		"0.0.0.0:8080->80/tcp":   {HostPort: 8080, ContainerPort: 80, Protocol: "tcp"},
		"127.0.0.1:8080->80/udp": {HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 8080, ContainerPort: 80, Protocol: "udp"},
		"[::1]:8080->80/tcp":     {HostIP: netip.MustParseAddr("::1"), HostPort: 8080, ContainerPort: 80, Protocol: "tcp"},
		"80/tcp":                 {ContainerPort: 80, Protocol: "tcp"},
	}
	for want, p := range tests {
		if got := p.String(); got != want {
			t.Errorf("%+v: %q, want %q", p, got, want)
		}
	}
}

func FuzzParsePorts(f *testing.F) {
	for _, s := range []string{"80", "1:2/udp", "127.0.0.1:1-2:3-4", "[::1]::80", "1-9:80", "::", "65535:65535", "/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ports, err := ParsePorts(s)
		if err != nil {
			return
		}
		if len(ports) == 0 {
			t.Fatal("no ports and no error")
		}
		for i, p := range ports {
			if p.ContainerPort != ports[0].ContainerPort+uint16(i) || p.ContainerPort == 0 {
				t.Fatalf("container ports of %q: %v", s, ports)
			}
			if p.HostPortEnd != 0 && (p.HostPortEnd <= p.HostPort || len(ports) != 1) {
				t.Fatalf("host range of %q: %v", s, p)
			}
			if p.HostPort == 0 || p.HostPortEnd != 0 {
				continue
			}
			// What String prints, in -p's own order, is read back as the same port.
			host, ctr, _ := strings.Cut(p.String(), "->")
			again, err := ParsePorts(host + ":" + ctr)
			if err != nil || len(again) != 1 {
				t.Fatalf("%s: %v", p, err)
			}
			if p.HostIP.IsValid() && again[0] != p {
				t.Fatalf("%s was read back as %s", p, again[0])
			}
		}
	})
}

func TestElements(t *testing.T) {
	addr := netip.MustParseAddr("10.87.1.2")
	es := elements(mustPorts(t, "8080:80", "127.0.0.1:53:5353/udp", "0.0.0.0:1:2"), addr)
	want := []element{
		{proto: 6, port: 8080, to: netip.MustParseAddrPort("10.87.1.2:80")},
		{proto: 17, host: netip.MustParseAddr("127.0.0.1"), port: 53, to: netip.MustParseAddrPort("10.87.1.2:5353")},
		{proto: 6, port: 1, to: netip.MustParseAddrPort("10.87.1.2:2")},
	}
	if !slices.Equal(es, want) {
		t.Errorf("elements: %v", es)
	}
	for _, e := range es {
		if got, ok := decode(e.encode()); !ok || got != e {
			t.Errorf("%v was decoded as %v", e, got)
		}
	}
}
