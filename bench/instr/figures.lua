-- SPDX-License-Identifier: MIT
--- The stored figures: a line with the versions of what the program is made of, then one for each work, its name and
-- its instructions a request.

local figures = { path = "bench/instr.tsv" }

--- @return { versions = text, counts = { name = number } }; both empty where nothing is stored
function figures.read()
  local stored = { versions = "", counts = {} }
  local file <close> = io.open(figures.path)
  for line in file and file:lines() or function() end do
    local name, value = line:match("^([^\t]+)\t(.+)$")
    if name == "versions" then stored.versions = value elseif name then stored.counts[name] = tonumber(value) end
  end
  return stored
end

--- In the order of the works.
function figures.write(works, counts, versions)
  local file <close> = assert(io.open(figures.path, "w"))
  assert(file:write("versions\t", versions, "\n"))
  for _, work in ipairs(works) do
    assert(file:write(("%s\t%.0f\n"):format(work.name, counts[work.name])))
  end
end

return figures
