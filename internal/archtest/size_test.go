package archtest

import (
	"go/ast"
	"testing"
)

// The limits of CONTRIBUTING.md, in lines and parameters.
const (
	maxFunctionLines = 60
	maxFileLines     = 500
	maxParameters    = 5
)

func TestSizes(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.generated() || f.test() {
			continue
		}
		if f.lines > maxFileLines {
			t.Errorf("%s: %d lines, at most %d", f.path, f.lines, maxFileLines)
		}
		for _, decl := range f.ast.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok {
				checkFunction(t, f, fn)
			}
		}
	}
}

func checkFunction(t *testing.T, f file, fn *ast.FuncDecl) {
	t.Helper()
	if lines := f.set.Position(fn.End()).Line - f.set.Position(fn.Pos()).Line + 1; lines > maxFunctionLines {
		t.Errorf("%s: %s has %d lines, at most %d", f.path, fn.Name.Name, lines, maxFunctionLines)
	}
	if n := fn.Type.Params.NumFields(); n > maxParameters {
		t.Errorf("%s: %s has %d parameters, at most %d", f.path, fn.Name.Name, n, maxParameters)
	}
}

// TestDocumented requires a package comment for every package and a comment for every exported function.
func TestDocumented(t *testing.T) {
	packages := map[string]bool{}
	for _, f := range goFiles(t) {
		if f.test() {
			continue
		}
		packages[f.dir()] = packages[f.dir()] || f.ast.Doc != nil
		for _, decl := range f.ast.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Name.IsExported() && fn.Doc == nil && receiverExported(fn) {
				t.Errorf("%s: %s has no comment", f.path, fn.Name.Name)
			}
		}
	}
	for dir, documented := range packages {
		if !documented {
			t.Errorf("%s: no package comment", dir)
		}
	}
}

// receiverExported reports whether fn is a function or a method of an exported type that no interface of the
// standard library documents already.
func receiverExported(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return true
	}
	switch fn.Name.Name {
	case "Error", "Unwrap", "String", "Read", "Write", "Close", "Len", "Less", "Swap", "Is", "As":
		return false
	}
	kind := fn.Recv.List[0].Type
	if star, ok := kind.(*ast.StarExpr); ok {
		kind = star.X
	}
	ident, ok := kind.(*ast.Ident)
	return ok && ident.IsExported()
}
