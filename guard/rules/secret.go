package rules

import (
	"slices"
	"strings"
)

// secretName reports whether a variable's name says that it holds a secret.
func secretName(name string) bool {
	words := nameWords(name)
	if len(words) == 0 || slices.ContainsFunc(words, publicWord) || slices.Contains(aboutWords(), words[len(words)-1]) {
		return false
	}
	for i, w := range words {
		last := i == len(words)-1
		if secretWord(w) || last && shortWord(w, len(words)) {
			return true
		}
		if last && w == "KEY" && i > 0 && keyWord(words[i-1]) {
			return true
		}
	}
	return false
}

// nameWords are the upper-case words of a name: DB, PASSWORD of "DB_PASSWORD", "db.password" and "dbPassword".
func nameWords(name string) []string {
	var b strings.Builder
	lower := false
	for _, r := range name {
		if r >= 'A' && r <= 'Z' && lower {
			b.WriteByte(' ')
		}
		lower = r >= 'a' && r <= 'z'
		if r == '_' || r == '-' || r == '.' || r == '/' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return strings.Fields(strings.ToUpper(b.String()))
}

func secretWord(w string) bool {
	switch w {
	case "PASSPHRASE", "CREDENTIAL", "CREDENTIALS", "SECRETS", "PASSWORDS":
		return true
	}
	for _, end := range []string{"PASSWORD", "PASSWD", "SECRET", "TOKEN", "APIKEY", "SECRETKEY", "ACCESSKEY", "PRIVATEKEY"} {
		if strings.HasSuffix(w, end) {
			return true
		}
	}
	return false
}

// shortWord are words that say so only at the end of a longer name: DB_PASS, but not PWD and PASS_THROUGH.
func shortWord(w string, words int) bool {
	return words > 1 && (w == "PASS" || w == "PWD" || w == "PW")
}

// keyWord are what a KEY is called that is to be kept; a GPG_KEY or HOST_KEY may be public.
func keyWord(w string) bool {
	switch w {
	case "API", "ACCESS", "PRIVATE", "SECRET", "ENCRYPTION", "SIGNING", "AUTH", "MASTER", "LICENSE", "ACCOUNT", "JWT":
		return true
	}
	return false
}

func publicWord(w string) bool {
	return w == "PUBLIC" || w == "PUB" || w == "PUBLISHABLE" || w == "OLDPWD"
}

// aboutWords end names of what is about a secret and not the secret.
func aboutWords() []string {
	return []string{
		"FILE", "FILES", "PATH", "DIR", "NAME", "ID", "URL", "URI", "ENDPOINT", "HOST", "ISSUER", "TTL", "LENGTH", "SIZE",
		"EXPIRY", "EXPIRES", "EXPIRATION", "TIMEOUT", "LIFETIME", "AGE", "POLICY", "TYPE", "HEADER", "ENABLED", "DISABLED",
		"REQUIRED", "ALGORITHM", "PREFIX", "SUFFIX", "FIELD", "LIMIT", "COUNT", "VERSION", "REF", "MOUNT", "STORE",
		"PROVIDER", "MANAGER", "USER", "USERNAME", "ROTATION", "RESET", "INTERVAL", "AUDIENCE", "MODE", "FORMAT", "REALM", "SCOPE", "LABEL",
	}
}

// literalSecret reports whether the value of a variable that is called like a secret is one: not empty, a
// reference, a file, a switch or what a template leaves for others to fill in.
func literalSecret(name, value string) bool {
	value = strings.TrimSpace(value)
	switch strings.ToLower(value) {
	case "", "0", "1", "true", "false", "yes", "no", "on", "off", "none", "null", "nil", "undefined":
		return false
	}
	if template(value) || filePath(value) {
		return false
	}
	upper := strings.ToUpper(name)
	if strings.Contains(upper, "PASS") || strings.Contains(upper, "PWD") {
		return true
	}
	return strings.Trim(value, "0123456789.") != "" // MAX_TOKEN=4096
}

// template reports whether somebody else puts the value in.
func template(value string) bool {
	lower := strings.ToLower(value)
	for _, start := range []string{"$", "<", "{{", "%", "your", "replace", "todo", "placeholder", "redacted", "example", "[", "vault:", "op://", "ref+"} {
		if strings.HasPrefix(lower, start) {
			return true
		}
	}
	return strings.Trim(lower, "x*.-_#?") == "" || strings.Contains(value, "${") || strings.Contains(value, "{{") ||
		strings.HasSuffix(value, "EXAMPLE") || strings.HasSuffix(value, "EXAMPLEKEY")
}

// filePath reports whether the value names a file.
func filePath(value string) bool {
	return !strings.Contains(value, " ") && !strings.HasSuffix(value, "=") &&
		(strings.HasPrefix(value, "/") || strings.HasPrefix(value, "./") || strings.HasPrefix(value, "../") || strings.HasPrefix(value, "file:"))
}

// hasPassword reports whether a value is a URL with a literal password: postgres://app:s3cret@db/app.
func hasPassword(value string) bool {
	scheme, rest, ok := strings.Cut(value, "://")
	if !ok || scheme == "" || strings.ContainsAny(scheme, " /") {
		return false
	}
	if i := strings.IndexAny(rest, "/?# "); i >= 0 {
		rest = rest[:i]
	}
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return false
	}
	_, password, ok := strings.Cut(rest[:at], ":")
	return ok && password != "" && !template(password)
}

// secretShape says which kind of secret a value is by its form alone; empty: none that is known.
func secretShape(value string) string {
	value = strings.TrimSpace(value)
	if strings.HasSuffix(value, "EXAMPLE") { // the key of AWS's documentation
		return ""
	}
	if begin := strings.Index(value, "-----BEGIN "); begin >= 0 && strings.Contains(value[begin:], "PRIVATE KEY-----") {
		return "a private key"
	}
	for _, s := range secretPrefixes() {
		if rest, ok := strings.CutPrefix(value, s.prefix); ok && len(rest) >= s.length && onlyOf(rest, s.also) {
			return s.what
		}
	}
	if isJWT(value) {
		return "a signed token (JWT)"
	}
	return ""
}

// secretPrefix is a form of secret: a beginning, and at least so many letters, digits and other characters.
type secretPrefix struct {
	prefix string
	length int
	also   string
	what   string
}

func secretPrefixes() []secretPrefix {
	return []secretPrefix{
		{"AKIA", 16, "", "an AWS access key"},
		{"ASIA", 16, "", "an AWS access key"},
		{"ghp_", 36, "", "a GitHub token"},
		{"gho_", 36, "", "a GitHub token"},
		{"ghu_", 36, "", "a GitHub token"},
		{"ghs_", 36, "", "a GitHub token"},
		{"ghr_", 36, "", "a GitHub token"},
		{"github_pat_", 40, "_", "a GitHub token"},
		{"glpat-", 20, "-_.", "a GitLab token"},
		{"xoxb-", 20, "-", "a Slack token"},
		{"xoxp-", 20, "-", "a Slack token"},
		{"xoxa-", 20, "-", "a Slack token"},
		{"xoxr-", 20, "-", "a Slack token"},
		{"xoxs-", 20, "-", "a Slack token"},
		{"sk_live_", 16, "", "a Stripe key"},
		{"rk_live_", 16, "", "a Stripe key"},
		{"AIza", 35, "-_", "a Google API key"},
		{"npm_", 36, "", "an npm token"},
		{"dckr_pat_", 20, "-_", "a Docker Hub token"},
		{"hf_", 30, "", "a Hugging Face token"},
		{"pypi-AgEIcHlwaS5vcmc", 20, "-_", "a PyPI token"},
		{"SG.", 40, "-_.", "a SendGrid key"},
	}
}

func onlyOf(text, also string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune(also, r)
	})
}

// isJWT reports whether the value has the three parts of a signed JSON Web Token: {"… in base64 is eyJ….
func isJWT(value string) bool {
	parts := strings.Split(value, ".")
	return len(parts) == 3 && len(parts[0]) > 10 && len(parts[1]) > 10 && len(parts[2]) > 10 &&
		strings.HasPrefix(parts[0], "eyJ") && strings.HasPrefix(parts[1], "eyJ") && onlyOf(strings.Join(parts, ""), "-_=")
}
