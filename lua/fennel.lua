-- SPDX-License-Identifier: Apache-2.0
-- The Fennel compiler of the bundle, for programs that have none of their own.

local core = ...

local fennel = {}
local prepared

local function folder()
  local home = core.home()
  if not home then
    error("fennel: cannot tell where libmatrix is", 3)
  end
  return home .. "/fennel"
end

local function load_compiler(path)
  if not (package and package.loaded and loadfile) then
    error("fennel: this Lua has no package library", 3)
  end
  if package.loaded.fennel then
    return package.loaded.fennel
  end
  local chunk, problem = loadfile(path .. "/fennel.lua")
  if not chunk then
    error("fennel: " .. tostring(problem), 3)
  end
  local compiler = chunk "fennel"
  package.loaded.fennel = compiler
  return compiler
end

-- matrix.fennel(): the compiler, which finds the macros of matrix. One already loaded as "fennel" is taken instead
-- of the bundle's: two in one state mix up each other's parts.
function fennel.get()
  if prepared and package.loaded.fennel == prepared then
    return prepared
  end
  local path = folder()
  local compiler = load_compiler(path)
  local places = path .. "/?.fnlm;" .. path .. "/?.fnl"
  compiler["macro-path"] = places .. ";" .. compiler["macro-path"]
  compiler.path = path .. "/?.fnl;" .. compiler.path
  prepared = compiler
  return compiler
end

return fennel
