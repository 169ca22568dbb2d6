// Package static serves a folder of files: what app.root runs.
//
// GET and HEAD only; conditional and range requests; index.html for folders and
// never a listing. Nothing outside the folder is ever opened: every step of a
// path goes through [os.Root], so neither ".." nor a symbolic link leads out. A
// link that points out, or that is absolute, is 404 like a file that is missing.
//
// Also 404: every name that starts with a dot, on any level, except what lies in
// /.well-known/ (a link may lead to such a name inside the folder, as Kubernetes
// does with ..data); everything that is not a regular file, which is not even
// opened, so that a FIFO cannot block a worker nor a device be disturbed; a path
// with an encoded slash, a backslash or a NUL, which front servers read
// differently. What the system forbids (EACCES) is 403; a folder needs the read
// bit as well as the search bit. When descriptors run out it is 503. No answer
// tells a path of the machine.
//
// The folder is opened once, by New. If its name is given to another folder or
// link meanwhile, the old one is served until a reload starts new workers: a
// deploy that replaces the folder and reloads switches whole sites at once. If
// the folder is removed, everything is 404.
//
// Hard links and bind mounts are not seen through: who may create those in the
// folder decides what is published.
package static
