package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/deckhand-engine/deckhand/ref"
)

// Errors callers test for with errors.Is.
var (
	ErrNotFound    = errors.New("not found")
	ErrDenied      = errors.New("access denied")
	ErrUnreachable = errors.New("registry unreachable")
	ErrBusy        = errors.New("registry cannot answer now")
	ErrNoPlatform  = errors.New("no image for the platform")
	ErrUnsupported = errors.New("unsupported image")
)

// Error is a failure of Pull or Push, with docker's words for it.
type Error struct {
	Ref  ref.Reference
	Kind error  // one of the sentinels, or nil
	Text string // what went wrong, complete
	Hint string // one line that can be typed or followed; may be empty
	Err  error  // the cause; may be nil
}

// Error is the text.
func (e *Error) Error() string { return e.Text }

// Advice is the hint.
func (e *Error) Advice() string { return e.Hint }

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// explain turns what the transport returned into an Error in docker's words; verb is "pull" or "push".
func explain(err error, verb string, r ref.Reference) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if e, ok := errors.AsType[*Error](explained(err, verb, r)); ok {
		e.Text, e.Hint = printable(e.Text), printable(e.Hint)
		return e
	}
	return fmt.Errorf("%s %s: %w", verb, r.Familiar(), err)
}

// maxText bounds what of a registry's words is repeated, in bytes.
const maxText = 1000

// printable drops control characters: part of the text is a registry's, and it may end on a terminal.
func printable(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + " …"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

// explained is an *Error for what there are words for, else err.
func explained(err error, verb string, r ref.Reference) error {
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	if te, ok := errors.AsType[*transport.Error](err); ok {
		return explainStatus(te, verb, r)
	}
	if e := explainNetwork(err, r); e != nil {
		return e
	}
	return err
}

func explainStatus(te *transport.Error, verb string, r ref.Reference) error {
	name, why := familiarName(r), diagnosis(te)
	switch {
	case te.StatusCode == http.StatusUnauthorized || te.StatusCode == http.StatusForbidden || hasCode(te, transport.DeniedErrorCode):
		return &Error{
			Ref: r, Kind: ErrDenied, Err: te,
			Text: verb + " access denied for " + name + ", repository does not exist or may require 'docker login': " + why,
			Hint: "store the password in ~/.docker/config.json, where deckhand reads it:  docker login " + r.Registry,
		}
	case hasCode(te, transport.NameUnknownErrorCode):
		return &Error{Ref: r, Kind: ErrNotFound, Err: te, Text: "repository " + name + " not found: " + why, Hint: spelling(r)}
	case te.StatusCode == http.StatusNotFound && missingBlob(te) != "":
		return &Error{
			Ref: r, Kind: ErrNotFound, Err: te, Hint: "push the image to the registry again",
			Text: verb + " " + r.Familiar() + ": the registry has lost blob " + missingBlob(te) + ", which the manifest names: " + why,
		}
	case te.StatusCode == http.StatusNotFound:
		return &Error{Ref: r, Kind: ErrNotFound, Err: te, Text: "manifest for " + r.Familiar() + " not found: " + why, Hint: spelling(r)}
	case te.StatusCode == http.StatusTooManyRequests:
		return &Error{
			Ref: r, Kind: ErrBusy, Err: te, Text: verb + " " + r.Familiar() + ": the registry refuses more requests for now: " + why,
			Hint: "wait, or log in for a higher limit:  docker login " + r.Registry,
		}
	}
	return &Error{
		Ref: r, Kind: kindOf(te), Err: te,
		Text: fmt.Sprintf("%s %s: registry %s answered %d %s: %s", verb, r.Familiar(), r.Registry, te.StatusCode, http.StatusText(te.StatusCode), why),
	}
}

// missingBlob is the digest of the blob that a request was about, empty for other requests.
func missingBlob(te *transport.Error) string {
	if te.Request == nil || te.Request.Method != http.MethodGet {
		return ""
	}
	_, blob, _ := strings.Cut(te.Request.URL.Path, "/blobs/")
	return blob
}

func spelling(r ref.Reference) string {
	if r.Registry == "docker.io" {
		return "check name and tag; an image from a file:  deckhand load -i FILE"
	}
	return "check name and tag; what the registry has:  curl " + r.Registry + "/v2/" + r.Repository + "/tags/list"
}

// familiarName is the short name without tag.
func familiarName(r ref.Reference) string {
	r.Tag, r.Digest = "", ""
	return strings.TrimSuffix(r.Familiar(), ":latest")
}

// diagnosis is the registry's own first message, "manifest unknown: manifest unknown", without request and URL.
func diagnosis(te *transport.Error) string {
	if len(te.Errors) == 0 {
		return fmt.Sprintf("status %d %s", te.StatusCode, http.StatusText(te.StatusCode))
	}
	d := te.Errors[0]
	code := strings.ToLower(strings.ReplaceAll(string(d.Code), "_", " "))
	if d.Message == "" || strings.EqualFold(d.Message, code) {
		return code
	}
	return code + ": " + d.Message
}

func hasCode(te *transport.Error, code transport.ErrorCode) bool {
	for _, d := range te.Errors {
		if d.Code == code {
			return true
		}
	}
	return false
}

// explainNetwork is nil for errors that are none of the network.
func explainNetwork(err error, r ref.Reference) error {
	const offline = "check name and network; an image from a file:  deckhand load -i FILE"
	out := &Error{Ref: r, Kind: ErrUnreachable, Err: err, Hint: offline}
	var dns *net.DNSError
	var op *net.OpError
	var ue *url.Error
	var ca x509.UnknownAuthorityError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		out.Text = fmt.Sprintf("cannot find registry %s: no such host %s", r.Registry, dns.Name)
	case errors.As(err, &dns):
		out.Text = fmt.Sprintf("cannot look up registry %s: %s", r.Registry, dns.Err)
	case errors.As(err, &ca), errors.As(err, &cert):
		out.Text = fmt.Sprintf("registry %s has a certificate that is not trusted: %v", r.Registry, innermost(err))
		out.Hint = "add its CA to the system's, or go without:  --tls-verify=false"
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"), errors.Is(err, errPlainHTTP):
		out.Text = fmt.Sprintf("registry %s speaks plain http, which deckhand accepts on loopback only", r.Registry)
		out.Hint = "if nobody can listen in on the way to it:  --tls-verify=false"
	case errors.Is(err, errStalled):
		out.Text = fmt.Sprintf("registry %s does not answer: %v", r.Registry, errStalled)
	case errors.As(err, &op), errors.As(err, &ue) && ue.Timeout():
		out.Text = fmt.Sprintf("cannot reach registry %s: %v", r.Registry, innermost(err))
	default:
		return nil
	}
	return out
}

// innermost is the last error of the chain.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
