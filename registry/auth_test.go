package registry_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/internal/need"
	"github.com/deckhand-engine/deckhand/ref"
	"github.com/deckhand-engine/deckhand/registry"
)

// login writes docker's config.json.
func login(t *testing.T, content string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
	return dir
}

func basicAuth(password string) string {
	return base64.StdEncoding.EncodeToString([]byte("ann:" + password))
}

// guarded asks for basic authentication.
func guarded(srv *server, user, password string) {
	srv.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if u, p, ok := r.BasicAuth(); ok && u == user && p == password {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
		return true
	})
}

func TestBasicAuth(t *testing.T) {
	srv := newServer(t)
	srv.image("app", "latest", ociKind, here, layer(t, "a", 10))
	guarded(srv, "ann", "secret")
	t.Run("no credentials", func(t *testing.T) {
		login(t, `{}`)
		_, err := client().Pull(t.Context(), srv.ref("app"), newStore(t), nil)
		wantError(t, err, registry.ErrDenied, "pull access denied")
	})
	t.Run("wrong password", func(t *testing.T) {
		login(t, `{"auths":{"`+srv.host+`":{"auth":"`+basicAuth("wrong")+`"}}}`)
		_, err := client().Pull(t.Context(), srv.ref("app"), newStore(t), nil)
		wantError(t, err, registry.ErrDenied, "pull access denied")
	})
	t.Run("config.json", func(t *testing.T) {
		login(t, `{"auths":{"`+srv.host+`":{"auth":"`+basicAuth("secret")+`"}}}`)
		if _, err := client().Pull(t.Context(), srv.ref("app"), newStore(t), nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("credential helper", func(t *testing.T) {
		dir := login(t, `{"credHelpers":{"`+srv.host+`":"deckhandtest"}}`)
		helper := "#!/bin/sh\nread host\n[ \"$host\" = " + srv.host + " ] || exit 1\n" +
			`echo '{"ServerURL":"'$host'","Username":"ann","Secret":"secret"}'` + "\n"
		if err := os.WriteFile(filepath.Join(dir, "docker-credential-deckhandtest"), []byte(helper), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		if _, err := client().Pull(t.Context(), srv.ref("app"), newStore(t), nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("damaged config.json", func(t *testing.T) {
		login(t, `{"auths":`)
		_, err := client().Pull(t.Context(), srv.ref("app"), newStore(t), nil)
		if err == nil || !strings.Contains(err.Error(), "read credentials for "+srv.host) {
			t.Errorf("got %v", err)
		}
	})
}

func TestBearerAuth(t *testing.T) {
	srv, s := newServer(t), newStore(t)
	img := imported(t, s, 1000)
	srv.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			u, p, _ := r.BasicAuth()
			if u != "ann" || p != "secret" {
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
			_, _ = fmt.Fprintf(w, `{"token":%q}`, strings.Join(r.URL.Query()["scope"], " "))
			return true
		}
		if strings.Contains(r.Header.Get("Authorization"), "repository:app:push,pull") {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+srv.URL+`/token",service="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	login(t, `{"auths":{"`+srv.host+`":{"auth":"`+basicAuth("secret")+`"}}}`)
	if _, err := client().Push(t.Context(), srv.ref("app"), img.Target, s, nil); err != nil {
		t.Error(err)
	}
	login(t, `{"auths":{"`+srv.host+`":{"auth":"`+basicAuth("wrong")+`"}}}`)
	_, err := client().Push(t.Context(), srv.ref("app"), img.Target, s, nil)
	wantError(t, err, registry.ErrDenied, "push access denied")
}

// detour leads every request for plain http to a server, whatever host it names; https does not work there.
type detour struct{ to string }

func (d detour) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" {
		return nil, errors.New("http: server gave HTTP response to HTTPS client")
	}
	there := r.Clone(r.Context())
	there.URL.Host = d.to
	return http.DefaultTransport.RoundTrip(there)
}

func TestPlainHTTPOnlyOnLoopback(t *testing.T) {
	srv := newServer(t)
	srv.image("app", "latest", ociKind, here, layer(t, "a", 10))
	for _, host := range []string{"10.1.2.3:5000", "192.168.1.1", "registry.example.com"} {
		srv.intercept(nil)
		r := ref.Reference{Registry: host, Repository: "app", Tag: "latest"}
		_, err := client().Through(detour{srv.host}).Pull(t.Context(), r, newStore(t), nil)
		e := wantError(t, err, registry.ErrUnreachable, "registry "+host+" speaks plain http, which deckhand accepts on loopback only")
		if !strings.Contains(e.Hint, "--tls-verify=false") {
			t.Errorf("hint %q", e.Hint)
		}
		if n := srv.count(""); n > 0 {
			t.Errorf("%d requests by plain http to %s", n, host)
		}
		c := client().Through(detour{srv.host})
		c.Insecure = true
		if _, err := c.Pull(t.Context(), r, newStore(t), nil); err != nil {
			t.Errorf("asked for: %v", err)
		}
	}
}

func TestTLS(t *testing.T) {
	plain := newServer(t)
	plain.image("app", "latest", ociKind, here, layer(t, "a", 10))
	tls := httptest.NewTLSServer(plain.Config.Handler)
	defer tls.Close()
	_, port, _ := net.SplitHostPort(tls.Listener.Addr().String())
	r := ref.Reference{Registry: "127.0.0.1:" + port, Repository: "app", Tag: "latest"}
	if _, err := client().Pull(t.Context(), r, newStore(t), nil); err != nil {
		t.Errorf("on loopback a certificate that nobody signed will do: %v", err)
	}
	// The same server under a name that is not loopback.
	r.Registry = "registry.example.com:" + port
	there := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, tls.Listener.Addr().String())
	}}
	defer there.CloseIdleConnections()
	_, err := client().Through(there).Pull(t.Context(), r, newStore(t), nil)
	e := wantError(t, err, registry.ErrUnreachable, "has a certificate that is not trusted")
	if !strings.Contains(e.Hint, "--tls-verify=false") {
		t.Errorf("hint %q", e.Hint)
	}
}

// dockerRegistry starts Debian's docker-registry on a free port.
func dockerRegistry(t *testing.T) string {
	t.Helper()
	need.Program(t, "docker-registry")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	text := "version: 0.1\nlog: {level: error}\nstorage:\n  filesystem: {rootdirectory: " + dir + "/data}\n  delete: {enabled: true}\nhttp: {addr: " + addr + "}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("docker-registry", "serve", config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 200 {
		if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			_ = conn.Close()
			return addr
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("docker-registry does not answer")
	return ""
}

func TestDockerRegistry(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	host, s := dockerRegistry(t), newStore(t)
	img := imported(t, s, 3_000_000)
	first := ref.Reference{Registry: host, Repository: "library/base", Tag: "v1"}
	if _, err := client().Pull(t.Context(), first, s, nil); err == nil {
		t.Fatal("pulled what is not there")
	} else {
		wantError(t, err, registry.ErrNotFound, "not found: ")
	}
	if _, err := client().Push(t.Context(), first, img.Target, s, nil); err != nil {
		t.Fatal(err)
	}
	// Another repository of the same registry takes the layer over.
	c, second := client(), ref.Reference{Registry: host, Repository: "team/app", Tag: "v1"}
	c.Mount = map[digest.Digest]string{img.Manifest.Layers[0].Digest: "library/base"}
	var p states
	got, err := c.Push(t.Context(), second, img.Target, s, &p)
	if err != nil || got != img.Target.Digest {
		t.Fatalf("push: %s, %v", got, err)
	}
	if p.final()[registry.StateMounted] != 1 {
		t.Errorf("the layer was not mounted: %v", p.final())
	}
	back := newStore(t)
	desc, err := client().Pull(t.Context(), second, back, nil)
	if err != nil || desc.Digest != img.Target.Digest || desc.MediaType != v1.MediaTypeImageManifest {
		t.Fatalf("pull back: %v, %v", desc, err)
	}
}
