-- SPDX-License-Identifier: MIT
-- The plots: strings of SVG, with classes that the page's style sheet colours.

local escape = require("luaserve.template").escape

local svg = {}

local function element(list, ...)
  list[#list + 1] = select("#", ...) == 1 and (...) or string.format(...)
end

local function open(width, height, label)
  return { ('<svg viewBox="0 0 %d %d" role="img" aria-label="%s">'):format(width, height, escape(label)) }
end

local function close(list)
  list[#list + 1] = "</svg>"
  return table.concat(list, "\n")
end

local function text(list, x, y, class, value)
  element(list, '<text x="%.1f" y="%.1f" class="%s">%s</text>', x, y, class, escape(value))
end

local function line(list, x1, y1, x2, y2, class)
  element(list, '<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>', x1, y1, x2, y2, class)
end

-- --- Bars ------------------------------------------------------------------------------------------------------------

local BAR = { width = 520, label = 174, bars = 212, row = 24, height = 13 }

--- Where the axis ends: bars that are many times longer than luaserve's are cut, and say so, or the others vanish.
local function limit_of(rows, own)
  local most = 0
  for _, row in ipairs(rows) do most = math.max(most, row.value.high) end
  local reference = own and own.value.median or most
  local limit = 0
  for _, row in ipairs(rows) do
    if row.value.high <= reference * 8 then limit = math.max(limit, row.value.high) end
  end
  return math.max(limit, math.min(most, reference * 4))
end

local function bar(list, row, y, scale, limit)
  local length = math.min(row.value.median, limit) * scale
  local cut = row.value.median > limit
  local parts = row.user and row.value == row.total and row.user.median / row.value.median or 1
  local top = y - BAR.height / 2
  element(list, '<rect x="%d" y="%.1f" width="%.1f" height="%d" class="bar"/>', BAR.label, top,
    math.max(1, length * parts), BAR.height)
  if parts < 1 then
    element(list, '<rect x="%.1f" y="%.1f" width="%.1f" height="%d" class="bar system"/>',
      BAR.label + length * parts, top, math.max(0, length * (1 - parts)), BAR.height)
  end
  if cut then
    element(list, '<path d="M%.1f %.1f l6 -20 h6 l-6 20z" class="cut"/>', BAR.label + length - 26, y + 10)
  else
    local low, high = BAR.label + row.value.low * scale, BAR.label + math.min(row.value.high, limit) * scale
    line(list, low, y, high, y, "whisker")
    line(list, low, y - 3, low, y + 3, "whisker")
    line(list, high, y - 3, high, y + 3, "whisker")
  end
  return BAR.label + math.max(length, cut and 0 or math.min(row.value.high, limit) * scale)
end

local function times(ratio)
  return (ratio < 10 and "%.2f×" or "%.0f×"):format(ratio)
end

--- A bar for each row: the median, split into user and system time where it is CPU time, with a whisker from the lowest
-- to the highest round, the value, and how many times luaserve's it is.
function svg.bars(work, format)
  local limit = limit_of(work.rows, work.own)
  local scale = BAR.bars / limit
  local list = open(BAR.width, #work.rows * BAR.row + 4, work.title)
  for i, row in ipairs(work.rows) do
    local y = i * BAR.row - BAR.row / 2 + 2
    local is_own = row == work.own or row.server.build
    local class = is_own and "own" or row.server.floor and "floor" or row.other and "other" or "peer"
    element(list, '<g class="%s">', class)
    element(list, "<title>%s: %s, from %s to %s</title>", escape(row.server.label), format(row.value.median),
      format(row.value.low), format(row.value.high))
    text(list, BAR.label - 10, y + 4.5, "name", row.server.label .. (row.other and " *" or ""))
    local right = bar(list, row, y, scale, limit)
    text(list, right + 8, y + 4.5, "value", format(row.value.median))
    if work.own and row ~= work.own then
      text(list, BAR.width, y + 4.5, "times", times(row.value.median / work.own.value.median))
    end
    element(list, "</g>")
  end
  return close(list)
end

-- --- Ratios ----------------------------------------------------------------------------------------------------------

local RATIO = { width = 1000, label = 300, row = 30, top = 34, bottom = 12, from = 0.25, to = 32 }

local function ratio_x(ratio)
  local bounded = math.max(RATIO.from, math.min(RATIO.to, ratio))
  local span = RATIO.width - RATIO.label - 20
  return RATIO.label + span * math.log(bounded / RATIO.from) / math.log(RATIO.to / RATIO.from)
end

local function ratio_grid(list, height)
  element(list, '<rect x="%.1f" y="%d" width="%.1f" height="%.1f" class="lost"/>', ratio_x(RATIO.from), RATIO.top - 8,
    ratio_x(1) - ratio_x(RATIO.from), height - RATIO.top - RATIO.bottom + 12)
  for _, tick in ipairs { 0.25, 0.5, 1, 2, 4, 8, 16, 32 } do
    local x = ratio_x(tick)
    line(list, x, RATIO.top - 8, x, height - RATIO.bottom + 4, tick == 1 and "one" or "grid")
    text(list, x, RATIO.top - 16, tick == 1 and "tick own" or "tick", tick == 1 and "luaserve" or ("%g×"):format(tick))
  end
end

--- A row for each work, a dot for each server: its CPU time as a multiple of luaserve's, on a logarithmic axis.
function svg.ratios(works, colours)
  local height = RATIO.top + #works * RATIO.row + RATIO.bottom
  local list = open(RATIO.width, height, "CPU time of a request as a multiple of luaserve's")
  ratio_grid(list, height)
  for i, work in ipairs(works) do
    local y = RATIO.top + (i - 0.5) * RATIO.row
    line(list, RATIO.label, y, RATIO.width - 20, y, "row")
    text(list, RATIO.label - 14, y + 4.5, "name", work.title)
    for at = #work.rows, 1, -1 do
      local row = work.rows[at]
      if row ~= work.own and not (row.server.floor or row.server.build) then
        local ratio = row.value.median / work.own.value.median
        element(list, '<circle cx="%.1f" cy="%.1f" r="5.5" class="dot c%d%s"><title>%s: %s: %s</title></circle>',
          ratio_x(ratio), y, colours[row.server.name], row.other and " hollow" or "", escape(row.server.label),
          escape(work.title), times(ratio))
      end
    end
    line(list, ratio_x(1), y - 8, ratio_x(1), y + 8, "mark")
  end
  return close(list)
end

-- --- Curves ----------------------------------------------------------------------------------------------------------

local CURVE = { width = 520, height = 340, left = 58, right = 96, top = 14, bottom = 44 }

--- 1, 2, 5, 10, ... that lie between two values.
local function ticks_between(low, high)
  local ticks = {}
  for power = math.floor(math.log(low, 10)), math.ceil(math.log(high, 10)) do
    for _, digit in ipairs { 1, 2, 5 } do
      local tick = digit * 10.0 ^ power
      if tick >= low * 0.999 and tick <= high * 1.001 then ticks[#ticks + 1] = tick end
    end
  end
  return ticks
end

local function logarithmic(low, high, from, to)
  local span = math.log(high / low)
  return function(value) return from + (to - from) * math.log(value / low) / span end
end

--- Moves labels apart that would stand on each other; they keep their order.
local function spread(labels, gap, bottom)
  table.sort(labels, function(a, b) return a.y < b.y end)
  for i = 2, #labels do labels[i].y = math.max(labels[i].y, labels[i - 1].y + gap) end
  local over = #labels > 0 and math.max(0, labels[#labels].y - bottom) or 0
  for i = #labels, 1, -1 do
    if over > 0 then labels[i].y = math.min(labels[i].y, (labels[i + 1] and labels[i + 1].y - gap) or bottom) end
  end
end

local function collect(points)
  local series, order, low, high = {}, {}, math.huge, 0
  for _, point in ipairs(points) do
    for _, row in ipairs(point.work.rows) do
      local name = row.server.name
      if not series[name] then
        series[name] = { server = row.server }
        order[#order + 1] = series[name]
      end
      table.insert(series[name], { at = point.at, value = row.value })
      low, high = math.min(low, row.value.low), math.max(high, row.value.high)
    end
  end
  return order, low, high
end

local function curve_line(list, one, x, y, class)
  local parts = {}
  for i, point in ipairs(one) do parts[i] = ("%.1f,%.1f"):format(x(point.at), y(point.value.median)) end
  element(list, '<g class="%s">', class)
  element(list, '<polyline points="%s" class="curve"/>', table.concat(parts, " "))
  for _, point in ipairs(one) do
    line(list, x(point.at), y(point.value.low), x(point.at), y(point.value.high), "range")
    element(list, '<circle cx="%.1f" cy="%.1f" r="3" class="point"><title>%s: %.2f µs at %d</title></circle>',
      x(point.at), y(point.value.median), escape(one.server.label), point.value.median, point.at)
  end
  element(list, "</g>")
end

local function curve_axes(list, points, x, y, low, high, axis)
  local bottom = CURVE.height - CURVE.bottom
  for _, tick in ipairs(ticks_between(low, high)) do
    line(list, CURVE.left, y(tick), CURVE.width - CURVE.right, y(tick), "grid")
    text(list, CURVE.left - 8, y(tick) + 4, "tick left", ("%g µs"):format(tick))
  end
  local right = 0 -- of the label before
  for _, point in ipairs(points) do
    local label = point.at < 1000 and tostring(point.at) or ("%gk"):format(point.at / 1000)
    if x(point.at) - 12 > right then
      text(list, x(point.at), bottom + 18, "tick", label)
      right = x(point.at) + 12
    end
  end
  text(list, (CURVE.left + CURVE.width - CURVE.right) / 2, CURVE.height - 6, "tick", axis)
end

--- CPU time over something that grows, both logarithmic, a line for each server with its name at the end.
function svg.curve(points, axis, colours)
  local order, low, high = collect(points)
  low, high = math.max(low, high / 1e4) * 0.95, high * 1.05
  local bottom = CURVE.height - CURVE.bottom
  local x = logarithmic(points[1].at, points[#points].at, CURVE.left + 8, CURVE.width - CURVE.right - 8)
  local y = logarithmic(low, high, bottom, CURVE.top)
  local list = open(CURVE.width, CURVE.height, "CPU time of a request over the number of " .. axis)
  curve_axes(list, points, x, y, low, high, axis)
  local labels = {}
  for _, one in ipairs(order) do
    local own, name = one.server.name == "luaserve", one.server.name
    local class = (own or one.server.build) and "own" or one.server.floor and "floor" or "c" .. colours[name]
    curve_line(list, one, x, y, class)
    labels[#labels + 1] = { y = y(one[#one].value.median) + 4, class = class, x = x(one[#one].at) + 9,
      text = one.server.label:gsub("^floor: ", ""):gsub(" in C$", "") }
  end
  spread(labels, 14, bottom + 4)
  for _, label in ipairs(labels) do
    element(list, '<g class="%s">', label.class)
    text(list, label.x, label.y, "end", label.text)
    element(list, "</g>")
  end
  return close(list)
end

return svg
