package transcript

import (
	"crypto/subtle"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdRegistry starts an empty registry on loopback that lasts as long as the script, and sets $REGISTRY to its
// address. With USER:PASSWORD it asks for them.
func cmdRegistry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: registry [USER:PASSWORD]")
	}
	h := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	if len(args) == 1 {
		h = askFor(h, args[0])
	}
	srv := httptest.NewServer(h)
	ts.Defer(srv.Close)
	ts.Setenv("REGISTRY", strings.TrimPrefix(srv.URL, "http://"))
}

func askFor(h http.Handler, userPassword string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, p, ok := r.BasicAuth()
		if ok && subtle.ConstantTimeCompare([]byte(u+":"+p), []byte(userPassword)) == 1 {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="transcript"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
}
