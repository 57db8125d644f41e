-- SPDX-License-Identifier: MIT
-- Medians and spreads of a few rounds.

local stats = {}

--- The value that a fraction of a sorted list is not above: 0.5, 0.99.
function stats.quantile(sorted, fraction)
  return sorted[math.max(1, math.ceil(#sorted * fraction))]
end

--- The median (of an even number of values the mean of the middle two), the least and the most; nil of no values.
function stats.summary(values)
  if #values == 0 then return nil end
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  local middle = #sorted // 2 + 1
  local median = #sorted % 2 == 1 and sorted[middle] or (sorted[middle - 1] + sorted[middle]) / 2
  return { median = median, low = sorted[1], high = sorted[#sorted] }
end

--- The summary of one field of all rounds that have it.
function stats.of(rounds, field)
  local values = {}
  for _, round in ipairs(rounds) do values[#values + 1] = round[field] end
  return stats.summary(values)
end

return stats
