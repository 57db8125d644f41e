-- SPDX-License-Identifier: MIT
--- What holds up the loop while it runs, by the full name of the function, and what to call instead: a table of
-- strings. A name that ends in a dot stands for all functions of that module, false for one that does not block.

local FILES = "use fs.open, fs.read_file or fs.write_file"
local POOL = "call it in a function for pool.run"
local SOCKETS = "use net.connect, net.listen or net.udp"

local blocking = {
  ["io.open"] = FILES,
  ["io.input"] = FILES,
  ["io.output"] = FILES,
  ["io.lines"] = "use fs.open and file:lines",
  ["io.read"] = "read standard input before the server listens",
  ["io.stdin:read"] = "read standard input before the server listens",
  ["io.stdin:lines"] = "read standard input before the server listens",
  ["io.popen"] = "use process.run or process.spawn",
  ["io.tmpfile"] = "use fs.mkstemp",
  ["os.execute"] = "use process.run",
  ["os.remove"] = "use fs.unlink or fs.rm",
  ["os.rename"] = "use fs.rename",
  ["os.tmpname"] = "use fs.mkstemp",
  ["dofile"] = "call it at the start, or require a module",
  ["loadfile"] = "use fs.read_file and load",

  -- LuaFileSystem
  ["lfs."] = "use luaserve.fs",
  ["lfs.attributes"] = "use fs.stat",
  ["lfs.symlinkattributes"] = "use fs.lstat",
  ["lfs.dir"] = "use fs.readdir or fs.walk",
  ["lfs.mkdir"] = "use fs.mkdir",
  ["lfs.rmdir"] = "use fs.rmdir",
  ["lfs.link"] = "use fs.link or fs.symlink",
  ["lfs.touch"] = "use fs.utime",
  ["lfs.currentdir"] = false,
  ["lfs.setmode"] = false,

  -- LuaSocket and LuaSec
  ["socket."] = SOCKETS,
  ["socket.sleep"] = "use timer.sleep",
  ["socket.dns."] = "use dns.lookup or dns.reverse",
  ["socket.dns.gethostname"] = false,
  ["socket.http."] = POOL,
  ["socket.ftp."] = POOL,
  ["socket.smtp."] = POOL,
  ["socket.unix"] = SOCKETS,
  ["socket.url."] = false,
  ["socket.gettime"] = false,
  ["socket.newtry"] = false,
  ["socket.protect"] = false,
  ["socket.try"] = false,
  ["socket.skip"] = false,
  ["socket.sink"] = false,
  ["socket.source"] = false,
  ["ssl.https."] = POOL,
  ["ssl.wrap"] = POOL,
  ["ssl.newcontext"] = false,

  -- databases and others that wait for somebody else
  ["luasql."] = POOL,
  ["lsqlite3."] = POOL,
  ["lcurl."] = POOL,
  ["cURL."] = POOL,
}

-- luaposix, whose functions are in modules and, in older programs, in "posix" itself. Most do not block.
local posix = {
  [FILES] = { "fcntl.open", "fcntl.creat", "stdio.fopen", "unistd.read", "unistd.write" },
  ["use luaserve.fs"] = { "dirent.dir", "dirent.files", "glob.glob", "fcntl.fcntl", "utime.utime",
    "sys.stat.stat", "sys.stat.lstat", "sys.stat.mkdir", "sys.stat.chmod", "sys.stat.mkfifo", "sys.statvfs.statvfs",
    "unistd.access", "unistd.chown", "unistd.link", "unistd.readlink", "unistd.rmdir", "unistd.truncate",
    "unistd.unlink", "unistd.fsync", "unistd.fdatasync", "unistd.sync", "unistd.lockf",
    "stdio.rename", "stdlib.realpath", "stdlib.mkstemp", "stdlib.mkdtemp" },
  ["use timer.sleep"] = { "unistd.sleep", "time.nanosleep", "unistd.usleep" },
  ["use luaserve.process"] = { "unistd.fork", "unistd.exec", "unistd.execp", "sys.wait.wait", "popen", "popen_pipeline",
    "pclose", "spawn", "system" },
  [SOCKETS] = { "sys.socket.accept", "sys.socket.connect", "sys.socket.recv", "sys.socket.recvfrom", "sys.socket.send",
    "sys.socket.sendto", "poll.poll", "poll.rpoll", "sys.msg.msgrcv" },
  ["use dns.lookup"] = { "sys.socket.getaddrinfo" },
}

for advice, names in pairs(posix) do
  for _, name in ipairs(names) do
    blocking["posix." .. name] = advice
    blocking["posix." .. name:match("[%w_]+$")] = advice
  end
end

return blocking
