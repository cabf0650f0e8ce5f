"""The report: one HTML file that works offline, and the same in Markdown for Dagster's pages."""

from gr00t_assets.reporting.report.write import FILE, Report, write_report

__all__ = ["FILE", "Report", "write_report"]
