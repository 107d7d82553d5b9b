package dockerfiles_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
)

const notInStore = " is not known: not in the store, and --offline"

func id(n uint32) guard.ID { return guard.Exactly(n) }

// userCase is a Dockerfile and the user that its image starts as.
type userCase struct {
	source string
	env    guard.Env
	files  map[string]string // the build context; nil: none
	at     string            // what the user's place holds
	line   int               // and its line
	want   guard.User        // without Where
}

func root(spec, raw string) guard.User { return guard.User{Spec: spec, Raw: raw, Name: "root"} }

func number(n uint32, spec string) guard.User {
	return guard.User{Spec: spec, UID: id(n), NoEntry: true}
}

func unknownBase(name string) guard.User {
	return guard.User{
		From: "base image " + name, Inherited: true, UID: guard.AnyID(), GID: guard.AnyID(),
		Unknown: "base image " + name + notInStore,
	}
}

func userCases() map[string]userCase {
	args := func(pairs ...string) guard.Env {
		env := guard.Env{Args: map[string]string{}}
		for i := 0; i < len(pairs); i += 2 {
			env.Args[pairs[i]] = pairs[i+1]
		}
		return env
	}
	wwwData := guard.User{Spec: "www-data", UID: id(33), GID: id(33), Name: "www-data"}
	raw := func(u guard.User, text string) guard.User {
		u.Raw = text
		return u
	}
	from := func(u guard.User, image string) guard.User {
		u.From, u.Inherited = "base image "+image, true
		return u
	}
	open := func(spec, why string) guard.User {
		return guard.User{Spec: spec, Raw: spec, UID: guard.AnyID(), GID: guard.AnyID(), Unknown: why}
	}
	return map[string]userCase{
		// The truth table.
		"no USER":                     {source: "FROM debian\nCMD a", at: "FROM debian", line: 1, want: root("", "")},
		"no USER, scratch":            {source: "FROM scratch\nCMD a", at: "FROM scratch", line: 1, want: guard.User{NoEntry: true}},
		"no USER, base unknown":       {source: "FROM corp/base:1\nCMD a", at: "FROM corp/base:1", line: 1, want: unknownBase("corp/base:1")},
		"USER 0":                      {source: "FROM debian\nUSER 0", at: "0", line: 2, want: root("0", "")},
		"USER 0, base unknown":        {source: "FROM corp/base:1\nUSER 0", at: "0", line: 2, want: guard.User{Spec: "0"}},
		"0:0":                         {source: "FROM debian\nUSER 0:0", at: "0:0", line: 2, want: guard.User{Spec: "0:0", Name: "root", GroupSet: true}},
		"root:root":                   {source: "FROM debian\nUSER root:root", at: "root:root", line: 2, want: guard.User{Spec: "root:root", Name: "root", GroupSet: true}},
		"root":                        {source: "FROM debian\nUSER root", at: "root", line: 2, want: root("root", "")},
		"root, base unknown":          {source: "FROM corp/base:1\nUSER root", at: "root", line: 2, want: root("root", "")},
		"00":                          {source: "FROM debian\nUSER 00", at: "00", line: 2, want: root("00", "")},
		"+0":                          {source: "FROM debian\nUSER +0", at: "+0", line: 2, want: root("+0", "")},
		"-0":                          {source: "FROM debian\nUSER -0", at: "-0", line: 2, want: root("-0", "")},
		"toor by useradd":             {source: "FROM debian\nRUN useradd -o -u 0 -g 0 toor\nUSER toor", at: "toor", line: 3, want: guard.User{Spec: "toor", Name: "toor", Alias: "root"}},
		"toor of the base":            {source: "FROM toor\nCMD a", at: "FROM toor", line: 1, want: from(guard.User{Spec: "toor", Name: "toor", Alias: "root"}, "toor")},
		"USER only in a builder":      {source: "FROM debian AS b\nUSER 1000\nFROM debian\nCOPY --from=b /a /b", at: "FROM debian", line: 3, want: root("", "")},
		"base not root, by number":    {source: "FROM nonroot\nCMD a", at: "FROM nonroot", line: 1, want: from(number(1000, "1000"), "nonroot")},
		"base not root, by name":      {source: "FROM named", at: "FROM named", line: 1, want: from(wwwData, "named")},
		"base is root":                {source: "FROM rooted", at: "FROM rooted", line: 1, want: from(root("root", ""), "rooted")},
		"base is 0:0":                 {source: "FROM zero", at: "FROM zero", line: 1, want: from(guard.User{Spec: "0:0", Name: "root", GroupSet: true}, "zero")},
		"root in a discarded stage":   {source: "FROM debian AS b\nUSER root\nFROM debian\nUSER 1000", at: "1000", line: 4, want: number(1000, "1000")},
		"reserved uid":                {source: "FROM debian\nUSER 33", at: "33", line: 2, want: guard.User{Spec: "33", UID: id(33), GID: id(33), Name: "www-data"}},
		"reserved uid without entry":  {source: "FROM debian\nUSER 499", at: "499", line: 2, want: number(499, "499")},
		"USER of ARG":                 {source: "FROM debian\nARG U=www-data\nUSER $U", at: "$U", line: 3, want: raw(wwwData, "$U")},
		"USER of ENV":                 {source: "FROM debian\nENV U=0\nUSER ${U}", at: "${U}", line: 3, want: root("0", "${U}")},
		"USER of the base's ENV":      {source: "FROM withenv\nUSER $APP_USER", at: "$APP_USER", line: 2, want: raw(wwwData, "$APP_USER")},
		"USER of a build argument":    {source: "FROM debian\nARG U=0\nUSER $U", env: args("U", "1000"), at: "$U", line: 3, want: raw(number(1000, "1000"), "$U")},
		"USER of a global ARG":        {source: "ARG U=1000\nFROM debian\nARG U\nUSER $U", at: "$U", line: 4, want: raw(number(1000, "1000"), "$U")},
		"ARG behind ENV counts":       {source: "FROM debian\nENV U=1000\nARG U=0\nUSER $U", at: "$U", line: 4, want: root("0", "$U")},
		"ENV behind ARG counts":       {source: "FROM debian\nARG U=0\nENV U=1000\nUSER $U", env: args("U", "0"), at: "$U", line: 4, want: raw(number(1000, "1000"), "$U")},
		"USER of nothing":             {source: "FROM debian\nUSER $U", at: "$U", line: 2, want: root("", "$U")},
		"USER of an ARG not set":      {source: "FROM debian\nARG U\nUSER $U", at: "$U", line: 3, want: open("$U", "build argument U has no value")},
		"USER of ENV of ARG not set":  {source: "FROM debian\nARG U\nENV V=$U\nUSER x$V", at: "x$V", line: 4, want: open("x$V", "build argument U has no value")},
		"USER of a global not set":    {source: "ARG U\nFROM debian\nARG U\nENV V=$U\nUSER $V", at: "$V", line: 5, want: open("$V", "build argument U has no value")},
		"USER through globals":        {source: "ARG U\nARG V=$U\nFROM debian\nARG V\nUSER $V", at: "$V", line: 5, want: open("$V", "build argument U has no value")},
		"USER of a global not taken":  {source: "ARG U=1000\nFROM debian\nUSER $U", at: "$U", line: 3, want: root("", "$U")},
		"USER with a default":         {source: "FROM corp/base:1\nARG U\nUSER ${U:-1000}", at: "${U:-1000}", line: 3, want: raw(guard.User{Spec: "1000", UID: id(1000), GID: guard.AnyID()}, "${U:-1000}")},
		"USER of an unknown base ENV": {source: "FROM corp/base:1\nUSER $APP_USER", at: "$APP_USER", line: 2, want: open("$APP_USER", "base image corp/base:1"+notInStore+", and may set APP_USER")},

		// Spelling.
		"CRLF":              {source: "FROM debian\r\nUSER www-data\r\n", at: "www-data", line: 2, want: wwwData},
		"continued":         {source: "FROM debian\nUSER \\\n# c\n  www-data", at: "www-data", line: 4, want: wwwData},
		"escape":            {source: "# escape=`\r\nFROM debian\r\nUSER www`\r\n-data", at: "www`\r\n-data", line: 3, want: wwwData},
		"lower case":        {source: "from debian as x\nuser www-data", at: "www-data", line: 2, want: wwwData},
		"quoted":            {source: "FROM debian\nUSER \"www-data\"", at: "\"www-data\"", line: 2, want: raw(wwwData, "\"www-data\"")},
		"the last counts":   {source: "FROM debian\nUSER root\nRUN true\nUSER www-data", at: "www-data", line: 4, want: wwwData},
		"back to root":      {source: "FROM nonroot\nUSER root", at: "root", line: 2, want: root("root", "")},
		"group":             {source: "FROM debian\nUSER www-data:audio", at: "www-data:audio", line: 2, want: guard.User{Spec: "www-data:audio", UID: id(33), GID: id(29), Name: "www-data", GroupSet: true}},
		"group only":        {source: "FROM debian\nUSER :audio", at: ":audio", line: 2, want: guard.User{Spec: ":audio", GID: id(29), Name: "root", GroupSet: true}},
		"nobody has it":     {source: "FROM debian\nUSER app", at: "app", line: 2, want: guard.User{Spec: "app", Missing: "unable to find user app: no matching entries in passwd file"}},
		"out of range":      {source: "FROM debian\nUSER 2147483648", at: "2147483648", line: 2, want: guard.User{Spec: "2147483648", Missing: "uids and gids must be in range 0-2147483647"}},
		"name on scratch":   {source: "FROM scratch\nUSER app", at: "app", line: 2, want: guard.User{Spec: "app", Missing: "unable to find user app: no matching entries in passwd file"}},
		"number on scratch": {source: "FROM scratch\nUSER 65532:65532", at: "65532:65532", line: 2, want: guard.User{Spec: "65532:65532", UID: id(65532), GID: id(65532), NoEntry: true, GroupSet: true}},

		// Stages.
		"parent stage":          {source: "FROM debian AS a\nUSER 1000\nFROM a", at: "1000", line: 2, want: number(1000, "1000")},
		"in other letters":      {source: "FROM debian AS a\nUSER 1000\nFROM a AS b\nRUN true\nFROM B", at: "1000", line: 2, want: number(1000, "1000")},
		"of a stage behind":     {source: "FROM b AS a\nFROM debian AS b\nFROM a", at: "FROM b AS a", line: 1, want: unknownBase("b")},
		"parent sets, child no": {source: "FROM debian AS a\nUSER 1000\nFROM a AS b\nRUN true\nFROM b", at: "1000", line: 2, want: number(1000, "1000")},
		"parent's ARG":          {source: "FROM debian AS a\nARG U=33\nFROM a\nUSER $U", at: "$U", line: 4, want: raw(guard.User{Spec: "33", UID: id(33), GID: id(33), Name: "www-data"}, "$U")},
		"of two the last":       {source: "FROM rooted AS a\nFROM nonroot AS a\nFROM a", at: "FROM nonroot AS a", line: 2, want: from(number(1000, "1000"), "nonroot")},
		"target":                {source: "FROM debian AS a\nUSER 1000\nFROM debian", env: guard.Env{Target: "A"}, at: "1000", line: 2, want: number(1000, "1000")},
		"FROM of ARG":           {source: "ARG B=nonroot\nFROM $B", at: "FROM $B", line: 2, want: from(number(1000, "1000"), "nonroot")},
		"FROM of a build arg":   {source: "ARG B=debian\nFROM $B", env: args("B", "nonroot"), at: "FROM $B", line: 2, want: from(number(1000, "1000"), "nonroot")},
		"FROM of ARG, a stage":  {source: "ARG B=prod\nFROM debian AS prod\nUSER 1000\nFROM debian AS dev\nFROM $B", at: "1000", line: 3, want: number(1000, "1000")},
		"FROM of ARG not set":   {source: "ARG B\nFROM $B", at: "FROM $B", line: 2, want: guard.User{From: "base image $B", Inherited: true, UID: guard.AnyID(), GID: guard.AnyID(), Unknown: "base image $B is not known: build argument B has no value"}},
		"FROM of nothing":       {source: "FROM x:$B", at: "FROM x:$B", line: 1, want: guard.User{From: "base image x:$B", Inherited: true, UID: guard.AnyID(), GID: guard.AnyID(), Unknown: "base image x:$B is not known: no ARG before the first FROM sets B"}},
		"FROM with a digest":    {source: "FROM plain@sha256:" + strings.Repeat("a", 64), at: "FROM plain@sha256:" + strings.Repeat("a", 64), line: 1, want: from(guard.User{Spec: "33", UID: id(33), GID: id(33), Name: "www-data"}, "plain@sha256:"+strings.Repeat("a", 64))},

		// ONBUILD.
		"the image's ONBUILD":     {source: "FROM triggers\nRUN x", at: "FROM triggers", line: 1, want: from(guard.User{Spec: "nobody", UID: id(65534), GID: id(65534), Name: "nobody"}, "triggers")},
		"ONBUILD to root":         {source: "FROM roottrigger", at: "FROM roottrigger", line: 1, want: from(root("root", ""), "roottrigger")},
		"ONBUILD, then USER":      {source: "FROM roottrigger\nUSER 1000", at: "1000", line: 2, want: number(1000, "1000")},
		"a stage's ONBUILD":       {source: "FROM debian AS a\nONBUILD USER www-data\nFROM a", at: "www-data", line: 2, want: wwwData},
		"ONBUILD of itself":       {source: "FROM debian\nONBUILD USER www-data", at: "FROM debian", line: 1, want: root("", "")},
		"ONBUILD of grandparents": {source: "FROM debian AS a\nONBUILD USER www-data\nFROM a AS b\nUSER root\nFROM b", at: "root", line: 4, want: root("root", "")},
		"ONBUILD in lower case":   {source: "FROM debian AS a\nonbuild user \\\n www-data\nFROM a", at: "www-data", line: 3, want: wwwData},

		// Users that steps add.
		"useradd":                 {source: "FROM debian\nRUN useradd -u 1234 app\nUSER app", at: "app", line: 3, want: guard.User{Spec: "app", UID: id(1234), GID: id(1234), Name: "app"}},
		"useradd on unknown base": {source: "FROM corp/base:1\nRUN groupadd -g 7 app && useradd -u 1234 -g app app\nUSER app", at: "app", line: 3, want: guard.User{Spec: "app", UID: id(1234), GID: id(7), Name: "app"}},
		"useradd with ARG":        {source: "FROM debian\nARG UID=1234\nARG GID=29\nRUN useradd -u $UID -g ${GID} app\nUSER app", at: "app", line: 5, want: guard.User{Spec: "app", UID: id(1234), GID: id(29), Name: "app"}},
		"useradd in a parent":     {source: "FROM debian AS a\nRUN useradd -u 1234 -g audio app\nFROM a\nUSER app", at: "app", line: 4, want: guard.User{Spec: "app", UID: id(1234), GID: id(29), Name: "app"}},
		"useradd in a builder":    {source: "FROM debian AS a\nRUN useradd -u 1234 app\nFROM debian\nUSER app", at: "app", line: 4, want: guard.User{Spec: "app", Missing: "unable to find user app: no matching entries in passwd file"}},
		"useradd behind USER":     {source: "FROM debian\nUSER app\nRUN useradd -u 1234 -g audio app", at: "app", line: 2, want: guard.User{Spec: "app", Missing: "unable to find user app: no matching entries in passwd file"}},
		"useradd as nobody":       {source: "FROM debian\nUSER nobody\nRUN useradd -o -u 0 app || true\nUSER app", at: "app", line: 4, want: guard.User{Spec: "app", Missing: "unable to find user app: no matching entries in passwd file"}},
		"sudo as nobody":          {source: "FROM debian\nUSER nobody\nRUN sudo useradd -u 1234 -g audio app\nUSER app", at: "app", line: 4, want: guard.User{Spec: "app", UID: id(1234), GID: id(29), Name: "app"}},
		"line as nobody":          {source: "FROM debian\nUSER nobody\nRUN echo app:x:0:0 >> /etc/passwd\nUSER app", at: "app", line: 4, want: guard.User{Spec: "app", UID: guard.AnyID(), GID: guard.AnyID(), Name: "app", Unknown: "a step that does not run as root writes to the file of users, which it may not be allowed to"}},
		"other ranges":            {source: "FROM debian\nCOPY <<EOF /etc/login.defs\nUID_MIN 5000\nEOF\nRUN useradd app\nUSER app", at: "app", line: 6, want: guard.User{Spec: "app", UID: guard.ID{Least: 1, Most: guard.MaxID}, GID: guard.AnyID(), Name: "app"}},
		"exec form, variable":     {source: "FROM debian\nENV ID=1234\nRUN [\"sh\", \"-c\", \"useradd -u $ID -g audio app\"]\nUSER app", at: "app", line: 4, want: guard.User{Spec: "app", UID: id(1234), GID: id(29), Name: "app"}},
		"heredoc of another":      {source: "FROM debian\nRUN <<EOF\n#!/usr/bin/perl\nsystem('useradd app')\nEOF\nUSER app", at: "app", line: 6, want: guard.User{Spec: "app", UID: guard.AnyID(), GID: guard.AnyID(), Name: "app", Unknown: "a script of /usr/bin/perl is run, which may add the user"}},
		"useradd in a heredoc":    {source: "FROM debian\nRUN <<EOF\nuseradd -u 1234 -g audio app\nEOF\nUSER app", at: "app", line: 5, want: guard.User{Spec: "app", UID: id(1234), GID: id(29), Name: "app"}},
		"useradd in bash heredoc": {source: "FROM debian\nRUN <<-EOF\n\t#!/usr/bin/env bash\n\tuseradd -u 1234 -g audio app\nEOF\nUSER app", at: "app", line: 6, want: guard.User{Spec: "app", UID: id(1234), GID: id(29), Name: "app"}},
		"useradd for bash":        {source: "FROM debian\nRUN bash <<EOF\nuseradd -u 1234 -g audio app\nEOF\nUSER www-data", at: "www-data", line: 5, want: wwwData},
		"useradd in exec form":    {source: "FROM debian\nRUN [\"useradd\", \"-u\", \"1234\", \"-g\", \"audio\", \"app\"]\nUSER app", at: "app", line: 3, want: guard.User{Spec: "app", UID: id(1234), GID: id(29), Name: "app"}},
		"useradd with SHELL":      {source: "FROM debian\nSHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]\nRUN useradd -u 1234 -g audio app\nUSER app", at: "app", line: 4, want: guard.User{Spec: "app", UID: id(1234), GID: id(29), Name: "app"}},
		"no shell":                {source: "FROM debian\nSHELL [\"python3\", \"-c\"]\nRUN useradd -u 1234 -g audio app\nUSER app", at: "app", line: 4, want: guard.User{Spec: "app", UID: guard.AnyID(), GID: guard.AnyID(), Name: "app", Unknown: "a script of python3 is run, which may add the user"}},
		"useradd in a trigger":    {source: "FROM debian AS a\nONBUILD RUN useradd -u 1234 -g audio app\nFROM a\nUSER app", at: "app", line: 4, want: guard.User{Spec: "app", UID: id(1234), GID: id(29), Name: "app"}},
		"secret mount":            {source: "FROM debian\nRUN --mount=type=secret,id=useradd,env=U useradd -u 1234 -g audio app\nUSER app", at: "app", line: 3, want: guard.User{Spec: "app", UID: id(1234), GID: id(29), Name: "app"}},
	}
}

func TestUser(t *testing.T) {
	for name, tt := range userCases() {
		t.Run(name, func(t *testing.T) { checkUser(t, tt) })
	}
}

func checkUser(t *testing.T, tt userCase) {
	t.Helper()
	src := guard.Source{Path: "Dockerfile", Data: []byte(tt.source)}
	if tt.files != nil {
		src.File = contextOf(t, tt.files)
	}
	tt.env.Images = images()
	s := load(t, src, tt.env)
	got := s.User
	if at := slice(t, tt.source, got.Where); at != tt.at || got.Where.Line != tt.line || got.Where.Path != "Dockerfile" {
		t.Errorf("decided at %s, %q", span(got.Where), at)
	}
	got.Where = guard.Location{}
	if diff := cmp.Diff(tt.want, got); diff != "" {
		t.Error(diff)
	}
}
