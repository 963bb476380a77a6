-- The wall: how many installations are in each item of each section, without telling of a group of fewer than @k.
-- 1. Items of fewer than @k installations are put together as (rare). While that has fewer than @k itself, the next
--    smallest item joins it: else it could be worked out from the total.
-- 2. An item that all but fewer than @k have counts as if all had it: else the others could be worked out.
-- 3. What still has fewer than @k is not shown.
WITH sizes AS (
  SELECT section, item, COUNT(DISTINCT installation) AS installations FROM members GROUP BY section, item),
ranked AS (
  SELECT section, item, installations,
    ROW_NUMBER() OVER (PARTITION BY section ORDER BY installations, item) AS place FROM sizes),
-- Each installation once, in the smallest item that it is in, so that a sum over items counts nobody twice.
firsts AS (
  SELECT members.section, installation, MIN(place) AS place
  FROM members JOIN ranked ON members.section = ranked.section AND members.item = ranked.item
  GROUP BY members.section, installation),
newcomers AS (SELECT section, place, COUNT(*) AS installations FROM firsts GROUP BY section, place),
everybody AS (SELECT COUNT(DISTINCT installation) AS installations FROM members),
sections AS (
  SELECT section, COUNT(DISTINCT installation) AS installations FROM members GROUP BY section),
populations AS (
  SELECT section, IF(everybody.installations - sections.installations < @k, everybody.installations, sections.installations)
    AS population
  FROM sections CROSS JOIN everybody),
smaller AS (
  SELECT ranked.section, ranked.item, ranked.installations, population, COALESCE(SUM(newcomers.installations) OVER (
      PARTITION BY ranked.section ORDER BY ranked.place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS in_smaller
  FROM ranked
  JOIN populations ON ranked.section = populations.section
  LEFT JOIN newcomers ON ranked.section = newcomers.section AND ranked.place = newcomers.place),
named AS (
  SELECT section, item, population, IF(
    installations < @k OR (in_smaller BETWEEN 1 AND @k - 1 AND population - installations >= @k), '(rare)', item) AS name
  FROM smaller),
counted AS (
  SELECT named.section, named.name AS item, population, COUNT(DISTINCT installation) AS installations, SUM(amount) AS amount
  FROM members JOIN named ON members.section = named.section AND members.item = named.item
  GROUP BY named.section, named.name, population),
safe AS (
  SELECT section, item, population, amount,
    IF(population - installations < @k, population, installations) AS installations
  FROM counted
  WHERE installations >= @k)
SELECT section, item, installations, ROUND(100 * installations / population, 1) AS percent, amount
FROM safe
